-- Delete batches that were kept for long enough, once all their jobs are gone. One of which a job is left is looked at again in an hour.
-- Each job is found by its key, and rows come as arrays: a join may be planned as a walk of the whole table.
-- $1: the most batches to look at; they are fewer if they have more than 50,000 items together. Returns how many were looked at.
with expired as materialized (
    select ctid, id, items, expires_at from batches where expires_at < now() order by expires_at limit $1::int for update skip locked
), old as materialized (
    select ctid, exists (select from unnest(items) as item(id)
                         cross join lateral (select from jobs where jobs.id = item.id limit 1) as job) as is_needed
    from (select ctid, items, sum(cardinality(items)) over (order by expires_at, id) - cardinality(items) as before from expired) as summed
    where before < 50000
), kept as (
    update batches set expires_at = now() + interval '1 hour' where ctid = any(array(select ctid from old where is_needed))
), gone as (
    delete from batches where ctid = any(array(select ctid from old where not is_needed))
)
select count(*)::int from old
