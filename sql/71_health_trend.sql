-- How each connection was over the last 24 hours, drawn: 96 cells of a quarter of an hour, the latest on the right. A block is a check
-- that was answered, the higher the slower, against the slowest of the day; × is unreachable; a blank is a gap: nobody looked.

create or replace view bilag.health_trend with (security_invoker = true) as
select o.name as organization, c.integration_type, s.status, s.latency_ms,
  t.trend, t.availability, n.latency_p50_ms, n.latency_p95_ms, n.checks,
  s.checked_at, case when c.enabled and c.health_mode = 'active' then s.next_check_at end as next_check_at,
  case when c.enabled then c.health_mode else 'disabled' end as health_mode, s.error_message, t.marks, c.org_id
from bilag.integration_config c
join bilag.organizations o on o.id = c.org_id
cross join (select bilag_internal.clock_now() as now) as k
left join bilag.integration_health_status s on s.org_id = c.org_id and s.integration_type = c.integration_type
cross join lateral (
  select count(*) as checks, max(h.latency_ms) filter (where h.status <> 'unreachable') as slowest,
    percentile_disc(0.5) within group (order by h.latency_ms) filter (where h.status <> 'unreachable') as latency_p50_ms,
    percentile_disc(0.95) within group (order by h.latency_ms) filter (where h.status <> 'unreachable') as latency_p95_ms
  from bilag.health_check_history h
  where h.org_id = c.org_id and h.integration_type = c.integration_type and h.checked_at > k.now - interval '24 hours' and h.checked_at <= k.now
) as n
cross join lateral (
  select string_agg(case m.mark when ' ' then ' ' when 'u' then '×'
      else substr('▁▂▃▄▅▆▇█', 1 + (7 * coalesce(m.latency_ms, 0) / greatest(n.slowest, 1)), 1) end, '' order by m.cell) as trend,
    string_agg(m.mark, '' order by m.cell) as marks,
    round(100 * avg(case when m.mark <> ' ' then coalesce(m.answered, (m.mark <> 'u')::integer) end), 1) as availability
  from (
    select e.cell, coalesce(w.latency_ms, h.latency_ms) as latency_ms, w.answered, case
        when w.mark is not null then w.mark
        when h.checked_at > e.begins - interval '5 minutes' then left(h.status, 1)
        -- Asked more rarely while it does not answer: until it is asked again it is still unreachable.
        when h.status = 'unreachable' and h.checked_at > e.begins - interval '2 hours' then 'u'
        else ' ' end as mark
    from (
      select g.cell, k.now - interval '24 hours' + g.cell * interval '15 minutes' as begins from generate_series(0, 95) as g (cell)
    ) as e
    cross join lateral (
      -- The worst of the quarter: an outage that was over within it is seen all the same.
      select max(x.latency_ms) as latency_ms, avg((x.status <> 'unreachable')::integer) as answered, case when bool_or(x.status = 'unreachable') then 'u'
        when bool_or(x.status = 'degraded') then 'd' when bool_or(x.status = 'healthy') then 'h' end as mark
      from bilag.health_check_history x
      where x.org_id = c.org_id and x.integration_type = c.integration_type
        and x.checked_at > e.begins and x.checked_at <= e.begins + interval '15 minutes'
    ) as w
    left join lateral (
      -- A check that came a little late belongs to its own cell and keeps the one that it missed from being a gap.
      select x.status, x.latency_ms, x.checked_at from bilag.health_check_history x
      where x.org_id = c.org_id and x.integration_type = c.integration_type
        and x.checked_at <= e.begins and x.checked_at > e.begins - interval '2 hours'
      order by x.checked_at desc, x.id desc limit 1
    ) as h on true
  ) as m
) as t
order by o.name, c.integration_type;

comment on view bilag.health_trend is
  'Per integration: status now, 24 hours as a sparkline of 96 quarters, availability in percent of the quarters that are known, latency p50 and p95.';
comment on column bilag.health_trend.trend is 'The latest on the right. A block: answered, the higher the slower; ×: unreachable; blank: not checked.';
comment on column bilag.health_trend.marks is 'The same cells in letters, for programs: h healthy, d degraded, u unreachable, blank not checked.';
comment on column bilag.health_trend.availability is 'In percent of the quarters of an hour in which it is known, each by its share of checks that were answered; degraded counts as available.';
