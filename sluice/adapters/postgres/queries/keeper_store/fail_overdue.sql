-- Fail jobs that wait, for their time or for a slot, although their deadline has passed.
-- The ids come as an array: a join may be planned as a walk of the whole table, once most of it is overdue.
-- $1: the most jobs to take.
with late as materialized (
    select id from jobs
    where deadline <= now() and deadline is not null and finished_at is null and state <> 'running'
    order by deadline limit $1::int for update skip locked
)
:overdue
