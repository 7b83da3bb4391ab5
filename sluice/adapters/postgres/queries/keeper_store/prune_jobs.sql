-- Delete finished jobs that were kept for long enough, with all they had. By arrays: a join may be planned as a walk of the whole table.
-- $1: the most jobs; fewer go at once if they, their inputs, attempts and logs hold more than 256 MiB, which would take too long, or if
-- there are more than 10,000 of their attempts and idempotency keys: each counts for 26,843 bytes.
with expired as materialized (
    select id, :keys, coalesce(octet_length(result), 0)
               + coalesce((select octet_length(input) from inputs where inputs.id = jobs.id), 0)
               + (select count(*) * 26843 + coalesce(sum(coalesce(octet_length(error), 0) + coalesce(octet_length(traceback), 0)), 0)
                  from attempts where job_id = jobs.id)
               + (select coalesce(sum(octet_length(lines)), 0) from logs where job_id = jobs.id) as size
    from jobs
    where expires_at < now()
    order by expires_at limit $1::int for update skip locked
), old as materialized (
    select id, keys
    from (select id, keys, sum(size + keys * 26843) over (order by id) as up_to, size + keys * 26843 as own from expired) as summed
    where up_to <= 268435456 or up_to = own
), :with_all_of_it
select id::text from gone
