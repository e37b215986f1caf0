-- The expense claims of the application. Once approved, a claim and its lines are immutable: what was approved is what
-- is booked. The triggers that hold this are in sql/20_claims.sql.

create table bilag.expense_claims (
  id                  uuid primary key default gen_random_uuid(),
  org_id              uuid not null references bilag.organizations on delete restrict,
  claim_number        text not null,
  claimant_name       text,
  claimant_reference  text,
  claimant_user_id    uuid,
  currency            text not null default 'NOK',
  status              text not null default 'draft',
  approved_at         timestamptz,
  approved_in         xid8,
  booked              boolean not null default false,
  documentation_url   text,
  created_at          timestamptz not null default now(),
  updated_at          timestamptz not null default now(),
  anonymized_at       timestamptz,
  constraint claim_number_is_unique_in_its_organisation unique (org_id, claim_number),
  constraint claim_is_addressed_with_its_organisation unique (id, org_id),
  constraint claim_number_has_one_to_hundred_characters check (length(claim_number) between 1 and 100),
  constraint status_is_known check (status in ('draft', 'submitted', 'approved', 'rejected', 'withdrawn')),
  constraint approved_claim_has_an_approval_time check (status <> 'approved' or approved_at is not null),
  constraint approval_time_is_plausible check (approved_at between '1900-01-01' and '2200-01-01'),
  constraint currency_is_three_letters check (currency ~ '^[A-Z]{3}$')
);

-- Requirement D2: the approved claims of one organisation by date. What is booked leaves the index, so that years of history
-- cost an export nothing.
create index approved_claims on bilag.expense_claims (org_id, status, approved_at) where not booked;
create index claims_by_approval on bilag.expense_claims (org_id, approved_at) where approved_at is not null;
create index expense_claims_by_claimant on bilag.expense_claims (claimant_user_id) where claimant_user_id is not null;

alter table bilag.expense_claims enable row level security;

comment on table bilag.expense_claims is 'Expense claims. Approved ones are immutable and wait to be booked.';
comment on column bilag.expense_claims.claimant_reference is 'The claimant''s number in the accounting system''s subledger.';
comment on column bilag.expense_claims.claimant_user_id is 'The claimant''s auth.uid(): they see their own claims.';
comment on column bilag.expense_claims.booked is 'A booking integration has exported it; kept by the machinery, in the transaction that knows.';
comment on column bilag.expense_claims.anonymized_at is 'anonymize_claimant took the person out, also of its vouchers, whose hashes are still those of what was sent.';
comment on column bilag.expense_claims.approved_in is 'The transaction that approved it, which may still add lines.';

create table bilag.expense_claim_lines (
  org_id        uuid not null,
  claim_id      uuid not null,
  line_no       integer not null,
  category      text not null,
  description   text,
  expense_date  date,
  amount        numeric not null,
  dimensions    jsonb not null default '{}',
  primary key (claim_id, line_no),
  constraint line_belongs_to_a_claim_of_its_organisation
    foreign key (claim_id, org_id) references bilag.expense_claims (id, org_id) on delete cascade,
  constraint expense_date_is_a_plausible_day check (expense_date between '1900-01-01' and '2200-01-01'),
  constraint amount_is_money check (amount = round(amount, 2) and abs(amount) < 1000000000000),
  constraint category_has_at_most_two_hundred_characters check (length(category) <= 200),
  constraint dimensions_are_an_object check (jsonb_typeof(dimensions) = 'object'),
  constraint dimensions_are_flat check (not jsonb_path_exists(dimensions, '$.* ? (@.type() == "object" || @.type() == "array")'))
);

alter table bilag.expense_claim_lines enable row level security;

comment on table bilag.expense_claim_lines is 'The lines of a claim, in the claim''s currency.';
comment on column bilag.expense_claim_lines.dimensions is 'Flat object; a key here wins over the mapping''s.';

create table bilag.claim_exclusions (
  integration_id  uuid not null references bilag.integration_config on delete restrict,
  claim_id        uuid not null references bilag.expense_claims on delete cascade,
  org_id          uuid not null,
  reason          text not null,
  excluded_at     timestamptz not null default now(),
  primary key (integration_id, claim_id)
);

create index claim_exclusions_by_claim on bilag.claim_exclusions (claim_id);

alter table bilag.claim_exclusions enable row level security;

comment on table bilag.claim_exclusions is 'Claims that a person keeps out of an integration (exclude_claim, include_claim).';
