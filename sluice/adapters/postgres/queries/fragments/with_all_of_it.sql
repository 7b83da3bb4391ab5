-- Deletes the jobs that are `old`, with all they had. Their idempotency keys stay, and stand for no job from then on: of a job with more
-- than 10,000 so many are changed at a time, and it goes with the last of them.
-- The ids come as arrays: a join may be planned as a walk of the whole table.
gone as (
    delete from jobs where id = any(array(select id from old where keys <= 10000)) returning id
), long as (
    delete from inputs where id = any(array(select id from gone))
), tries as (
    delete from attempts where job_id = any(array(select id from gone))
), lines as (
    delete from logs where job_id = any(array(select id from gone))
), freed as (
    update idempotency_keys set job_id = '00000000-0000-0000-0000-000000000000'
    where ctid = any(array(select ctid from idempotency_keys where job_id = any(array(select id from old)) limit 10000))
)
