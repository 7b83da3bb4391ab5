-- Overdue: jobs that wait, for their time or for a slot, although their deadline has passed, fail.
-- $1: lock; $2: the most jobs to take.
with turn as materialized (
    select pg_try_advisory_xact_lock($1::bigint) as mine
), overdue as materialized (
    select id from jobs
    where deadline <= now() and deadline is not null and state in ('scheduled', 'queued') and (select mine from turn)
    order by deadline limit $2::int for update skip locked
)
update jobs
set :overdue
from overdue
where jobs.id = overdue.id
returning :job, null::bytea as input, result, error
