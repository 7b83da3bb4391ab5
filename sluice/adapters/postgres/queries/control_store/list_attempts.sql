-- List the newest attempts of a job that did not succeed, in order.
-- $1: id; $2: the most to return.
select * from (
    select fence, attempt, outcome, started_at, finished_at, error, traceback
    from attempts where job_id = $1::uuid order by fence desc limit $2::int
) as newest
order by fence
