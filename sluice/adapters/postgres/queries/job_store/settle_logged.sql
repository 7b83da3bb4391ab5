-- Settle attempts of which some have logged, and keep what they have. To look for that in every statement would cost each a twentieth.
-- $1..$12: what the fragment takes; $13: what was logged; $14: the number of the first line of that; $15: of how many claims it is kept.
with :settled, logged as materialized (
    select changed.id, fence, first, lines
    from unnest($1::uuid[], $2::int[], $13::bytea[], $14::int[]) as t(id, fence, lines, first) join changed using (id, fence)
    where lines is not null
), kept as (
    insert into logs (job_id, fence, first, lines) select id, fence, first, lines from logged
    on conflict do nothing
), overwritten as (
    delete from logs using logged where logs.job_id = logged.id and logs.fence <= logged.fence - $15::int
)
select id::text, fence, owner, state, version, finished_at from changed
