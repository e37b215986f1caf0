-- What policies compare is indexed: a tenant's query reads that tenant's rows, however many others there are. The other tables of
-- tenants have an index, a key or a constraint that begins with org_id already.

create index expense_claim_lines_of_an_organisation on bilag.expense_claim_lines (org_id);
create index claim_exclusions_of_an_organisation on bilag.claim_exclusions (org_id);
create index export_items_of_an_organisation on bilag.export_items (org_id, id desc);
create index export_lines_of_an_organisation on bilag.export_lines (org_id);
create index export_files_of_an_organisation on bilag.export_files (org_id);
create index export_lanes_of_an_organisation on bilag.export_lanes (org_id);
