-- Find the kinds of the jobs that wait although their deadline has passed, of as many jobs as are failed at once.
-- $1: the most jobs.
select distinct kind from (
    select kind from jobs
    where deadline <= now() and deadline is not null and state in ('scheduled', 'queued')
    order by deadline limit $1::int
) as overdue
