-- Deletes what the jobs that are `gone` had, and returns their ids. Their idempotency keys stay: from then on they stand for no job.
-- The ids come as arrays: a join may be planned as a walk of the whole table.
long as (
    delete from inputs where id = any(array(select id from gone))
), tries as (
    delete from attempts where job_id = any(array(select id from gone))
), keys as (
    update idempotency_keys set job_id = '00000000-0000-0000-0000-000000000000'
    where job_id = any(array(select id from gone))
)
select id::text from gone
