-- Delete a finished job, its input and its attempts. Its idempotency keys stay and then stand for no job, so that no later request
-- with one of them counts as the first.
-- $1: tenant; $2: id.
with gone as (
    delete from jobs
    where id = $2::uuid and tenant = $1 and finished_at is not null
    returning id
), long as (
    delete from inputs using gone where inputs.id = gone.id
), tries as (
    delete from attempts using gone where job_id = gone.id
), keys as (
    update idempotency_keys set job_id = '00000000-0000-0000-0000-000000000000'
    from gone where job_id = gone.id
)
select id::text from gone
