-- Delete: forget a finished job and its attempts.
-- $1: tenant; $2: id.
with gone as (
    delete from jobs
    where id = $2::uuid and tenant = $1 and state in ('succeeded', 'failed', 'cancelled')
    returning id
), tries as (
    delete from attempts using gone where job_id = gone.id
)
select id::text from gone
