-- Count what waits and runs in each lane, and for whom, by one partial index. What runs is among the oldest of its kind.
-- $1: lanes; $2: the most jobs to count of each lane and priority, as many of each kind and version.
with recursive :waiting, open as materialized (
    select lane, tenant, queued_at, state = 'queued' as waits
    from (select *, count(*) over (partition by lane, priority) as kinds from waiting) as waiting
    cross join lateral (select tenant, queued_at, state :oldest
                        order by offered_until limit ceil($2::float8 / kinds)) as first
), queued as materialized (
    select lane, tenant, count(*) as queued, row_number() over (order by count(*) desc) as place
    from open where waits group by lane, tenant
), running as materialized (
    select lane, count(*) as running from open where not waits group by lane
), oldest as materialized (
    select lane, min(queued_at) as queued_at from open where waits group by lane
), undispatched as materialized (
    select message.lane, min(queued_at) as queued_at
    from (select lane, ids from outbox order by id limit 100) as message
    join jobs on jobs.id = any(message.ids) and state = 'queued'
    group by message.lane
)
select lane.name as lane,
       coalesce((select sum(queued)::bigint from queued where queued.lane = lane.name), 0) as queued,
       coalesce((select running from running where running.lane = lane.name), 0) as running,
       coalesce((select extract(epoch from clock_timestamp() - queued_at)::float8 from oldest
                 where oldest.lane = lane.name), 0) as oldest_queued_s,
       coalesce((select extract(epoch from clock_timestamp() - queued_at)::float8 from undispatched
                 where undispatched.lane = lane.name), 0) as oldest_undispatched_s,
       coalesce((select json_object_agg(tenant, queued)::text from queued
                 where queued.lane = lane.name and place <= 1000), '{}') as tenants
from unnest($1::text[]) as lane(name)
