-- Find the kinds of the jobs whose lease ran out, of as many jobs as one rescue takes.
-- $1: the most jobs.
select distinct kind from (
    select kind from jobs where state = 'running' and lease_until < clock_timestamp() order by id limit $1::int
) as expired
