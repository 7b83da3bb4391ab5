-- What the keeper needs to fail the overdue without looking at all that waits. The index is made while jobs are written:
-- that waits for every transaction under way but holds up none, so it may wait for long. What an interrupted run has left
-- is made anew.
set lock_timeout = 0;

drop index concurrently if exists jobs_deadline;

create index concurrently jobs_deadline on jobs (deadline)
    where deadline is not null and state in ('scheduled', 'queued');

set lock_timeout = '2s';

-- What each consumer knows of its own work: slots, rates and times, by lane and kind.
alter table consumers add column if not exists statistics jsonb not null default '{}';
