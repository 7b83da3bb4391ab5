-- Delete finished jobs that were kept for long enough, with their inputs and attempts. Idempotency keys outlive their jobs:
-- from then on they stand for no job.
-- The ids come as arrays: a join may be planned as a walk of the whole table, once most of it has expired.
-- $1: the most jobs; fewer go at once if they, their inputs and their attempts hold more than 256 MiB, which would take too long.
with expired as materialized (
    select id, coalesce(octet_length(result), 0)
               + coalesce((select octet_length(input) from inputs where inputs.id = jobs.id), 0)
               + coalesce((select sum(coalesce(octet_length(error), 0) + coalesce(octet_length(traceback), 0))
                           from attempts where job_id = jobs.id), 0) as size
    from jobs
    where expires_at < now()
    order by expires_at limit $1::int for update skip locked
), old as materialized (
    select id from (select id, sum(size) over (order by id) - size as before from expired) as summed
    where before < 268435456
), gone as (
    delete from jobs where id = any(array(select id from old)) returning id
), :with_all_of_it
