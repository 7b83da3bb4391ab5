-- Deletes what the jobs that are `gone` had, and returns their ids. Their idempotency keys stay: from then on they stand for no job.
long as (
    delete from inputs using gone where inputs.id = gone.id
), tries as (
    delete from attempts using gone where job_id = gone.id
), keys as (
    update idempotency_keys set job_id = '00000000-0000-0000-0000-000000000000'
    from gone where job_id = gone.id
)
select id::text from gone
