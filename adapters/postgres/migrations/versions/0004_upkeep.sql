-- What the keeper needs to fail the overdue without looking at all that waits. Made while the previous release writes,
-- so it is built beside the table's traffic; what an attempt that was broken off has left is made anew.
drop index concurrently if exists jobs_deadline;
create index concurrently jobs_deadline on jobs (deadline)
    where deadline is not null and state in ('scheduled', 'queued');
-- What each consumer knows of its own work: slots, rates and times, by lane and kind.
alter table consumers add column if not exists statistics jsonb not null default '{}';
