-- Find the endings that a listener was not told yet, the oldest first.
-- $1: the listener; $2: the most to return.
select n, jobs.webhook, :job, null::bytea as input, null::bytea as result, error
from endings as jobs
where listener = $1::text
order by listener, n
limit $2::int
