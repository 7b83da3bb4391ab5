-- Count how the items of a batch stand. Each job is found by its key: that costs as much as the batch has items, however many jobs there
-- are. Finished ones are waited for until no failover can undo their ends.
-- A job that is gone counts for more versions than any has, so that the version of its batch still rises.
-- $1: tenant; $2: id. Also returns lane and state of the last unfinished job, and since when it is so.
with batch as materialized (
    select id, items from batches where id = $2::uuid and tenant = $1
), item as materialized (
    select position, item.id is null as refused, job.*
    from batch cross join lateral unnest(items) with ordinality as item(id, position)
    left join lateral (
        select version, state, lane, finished_at is null as open,
               case state when 'queued' then queued_at when 'scheduled' then run_at else started_at end as since
        from jobs where jobs.id = item.id limit 1
    ) as job on true
), last as (
    select lane, state, since from item where open order by position desc limit 1
)
select batch.id::text, summed.*, last.lane, last.state, last.since
from batch cross join (
    select 1 + coalesce(sum(case when refused then 0 else coalesce(version, 1000000) end), 0)::bigint as version,
           count(*) filter (where state = 'scheduled') as scheduled, count(*) filter (where state = 'queued') as queued,
           count(*) filter (where state = 'running') as running, count(*) filter (where state = 'succeeded') as succeeded,
           count(*) filter (where state = 'failed') as failed, count(*) filter (where state = 'cancelled') as cancelled,
           count(*) filter (where refused) as refused, count(*) filter (where not refused and state is null) as expired
    from item
) as summed
left join last on true
where (select :replicated)
