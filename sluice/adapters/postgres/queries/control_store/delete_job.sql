-- Delete a finished job, its input and its attempts. Its idempotency keys stay and then stand for no job, so that no later request
-- with one of them counts as the first.
-- $1: tenant; $2: id. Returns whether it is gone; if not, there is more to do. Nothing comes back for a job that is not there.
with old as materialized (
    select id, :keys from jobs where id = $2::uuid and tenant = $1 and finished_at is not null
), :with_all_of_it
select exists (select from gone) from old
