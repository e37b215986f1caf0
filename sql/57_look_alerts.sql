-- What looks could not settle is told: vouchers in doubt, vanished, or refused by the vendor's own import. One alert per integration
-- and kind, closed when no voucher is in that state any more.

create or replace function bilag_internal.raise_look_alerts(item_ids bigint[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  perform bilag_internal.raise_alert(
    case when t.reason_code in ('vanished', 'import_error') then t.reason_code else 'in_doubt' end,
    -- Not what the vendor said: it may repeat a voucher's texts, and observers read alerts. claim_exports has it.
    t.integration_id::text, t.org_id, t.integration_type, replace(bilag_internal.tell(t.reason_code, '{}'), ': {message}', '.'),
    jsonb_build_object('vouchers', t.n))
  from (
    select i.integration_id, i.org_id, i.integration_type, i.reason_code, count(*) as n
    from bilag.export_items i
    where i.id = any(item_ids) and (
      i.reason_code in ('vanished', 'import_error') or ((i.state = 'in_doubt' or i.verifying is not null) and i.looks > 0)
      -- Not at once: what a system is just posting may be seen in part.
      or (i.reason_code = 'accepted_unclear' and i.looks > 3))
    group by i.integration_id, i.org_id, i.integration_type, i.reason_code
  ) as t;
  perform bilag_internal.resolve_alert(k.kind, l.integration_id::text, 'no voucher is in that state any more')
  from (select distinct i.integration_id from bilag.export_items i where i.id = any(item_ids)) as l
  cross join (values ('in_doubt'), ('vanished'), ('import_error')) as k (kind)
  join bilag.alerts a on a.kind = k.kind and a.problem_key = l.integration_id::text and a.resolved_at is null
  where not exists (
    select from bilag.export_items i
    where i.integration_id = l.integration_id and i.next_look_at is not null and case k.kind
      when 'in_doubt' then ((i.state = 'in_doubt' or i.verifying is not null) and i.looks > 0)
          or (i.reason_code = 'accepted_unclear' and i.looks > 3)
      else i.reason_code = k.kind end);
end $$;

comment on function bilag_internal.raise_look_alerts(bigint[]) is 'Opens and resolves the alerts of doubtful, vanished and failing items.';
