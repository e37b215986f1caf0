-- What keeps tenants and people apart: the indexes of what policies compare, and the key to an approved claim's names.

-- A tenant's query reads that tenant's rows, however many others there are. The other tables of tenants have an index, a key or a
-- constraint that begins with org_id already.
create index expense_claim_lines_of_an_organisation on bilag.expense_claim_lines (org_id);
create index claim_exclusions_of_an_organisation on bilag.claim_exclusions (org_id);
create index export_items_of_an_organisation on bilag.export_items (org_id, id desc);
create index export_lines_of_an_organisation on bilag.export_lines (org_id);
create index export_files_of_an_organisation on bilag.export_files (org_id);
create index export_lanes_of_an_organisation on bilag.export_lanes (org_id);

-- Claims whose names a transaction is taking out. The guards of approved claims look here, and nobody but the owner can write here:
-- a setting could be set by anybody. Empty between transactions.
create table bilag_internal.anonymizing (
  claim_id        uuid primary key references bilag.expense_claims on delete cascade,
  in_transaction  xid8 not null
);

comment on table bilag_internal.anonymizing is 'Approved claims that anonymize_claimant may change, in its own transaction.';

-- The machinery's own tables have no policy at all: whatever should once be granted on them, nobody but their owner sees a row.
do $$
declare
  ours regclass;
begin
  for ours in
    select c.oid from pg_class c where c.relnamespace = 'bilag_internal'::regnamespace and c.relkind = 'r' and not c.relrowsecurity
  loop
    execute format('alter table %s enable row level security', ours);
  end loop;
end $$;
