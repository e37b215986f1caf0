-- The queues. A message is a hint with an id in it; business state never lives here, so a purge costs a minute and no claim.

select pgmq.create('bilag_exports');
select pgmq.create('bilag_health_checks');
select pgmq.create('bilag_dead_letters');
