-- Delete finished jobs that were kept for long enough, with all they had. By arrays: a join may be planned as a walk of the whole table.
-- $1: the most jobs; fewer go at once if they, their inputs, attempts and logs hold more than 256 MiB, which would take too long, or if
-- there are more than 10,000 of their attempts and idempotency keys: each counts for 26,843 bytes.
with expired as materialized (
    select id, :keys, :size as size
    from jobs
    where expires_at < now()
    order by expires_at limit $1::int for update skip locked
), old as materialized (
    select id, keys
    from (select id, keys, sum(size + keys * 26843) over (order by id) as up_to, size + keys * 26843 as own from expired) as summed
    where up_to <= 268435456 or up_to = own
), :with_all_of_it
select id::text from gone
