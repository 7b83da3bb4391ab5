-- Fail jobs that wait, for their time or for a slot, although their deadline has passed.
-- $1: lock; $2: the most jobs to take; $3: kinds, and $4: the fingerprint of this error for each. Jobs of other kinds are
-- left for the next time.
with turn as materialized (
    select pg_try_advisory_xact_lock($1::bigint) as mine
), found as materialized (
    select id, kind from jobs
    where deadline <= now() and deadline is not null and state in ('scheduled', 'queued') and (select mine from turn)
    order by deadline limit $2::int for update skip locked
), overdue as (
    select id, print from found join unnest($3::text[], $4::text[]) as known(kind, print) using (kind)
)
update jobs
set :overdue
from overdue
where jobs.id = overdue.id
returning :job, null::bytea as input, result, error
