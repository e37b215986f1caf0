-- How long a run waits after its n-th failure in a row that may pass by itself. Long enough to survive a vendor's maintenance window of
-- many hours (Xledger's own sample plans for "a large maintenance window"). A DBA may change the rows.

create table bilag.retry_schedule (
  failure  integer primary key,
  wait     interval not null,
  constraint failures_count_from_one check (failure > 0),
  constraint a_wait_is_positive check (wait > interval '0')
);

insert into bilag.retry_schedule (failure, wait) values
  (1, '15 seconds'), (2, '1 minute'), (3, '5 minutes'), (4, '15 minutes'), (5, '30 minutes'), (6, '1 hour'),
  (7, '2 hours'), (8, '2 hours'), (9, '4 hours'), (10, '4 hours'), (11, '6 hours'), (12, '6 hours');

alter table bilag.retry_schedule enable row level security;

comment on table bilag.retry_schedule is 'Waits between deliveries of a run; after the last row the run fails.';
