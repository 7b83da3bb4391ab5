-- Delete a finished job, its input and its attempts. Its idempotency keys stay and then stand for no job, so that no later request
-- with one of them counts as the first.
-- $1: tenant; $2: id.
with gone as (
    delete from jobs
    where id = $2::uuid and tenant = $1 and finished_at is not null
    returning id
), :with_all_of_it
