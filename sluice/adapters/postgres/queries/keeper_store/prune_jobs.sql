-- Delete finished jobs that were kept for long enough, with their inputs and attempts. Idempotency keys outlive their jobs:
-- from then on they stand for no job.
-- $1: the most jobs; fewer go at once if they hold more than 256 MiB, which would take too long.
with expired as materialized (
    select id, coalesce(octet_length(result), 0)
               + coalesce((select octet_length(input) from inputs where inputs.id = jobs.id), 0) as size
    from jobs
    where expires_at < now()
    order by expires_at limit $1::int for update skip locked
), old as materialized (
    select id from (select id, sum(size) over (order by id) - size as before from expired) as summed
    where before < 268435456
), gone as (
    delete from jobs using old where jobs.id = old.id returning jobs.id
), :with_all_of_it
