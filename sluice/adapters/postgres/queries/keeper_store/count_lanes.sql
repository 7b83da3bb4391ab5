-- Count what waits and runs in each lane, and for whom, by one partial index, and say which lanes are paused. What runs is among the oldest of its kind.
-- $1: lanes; $2: the most jobs to count of each lane and priority, as many of each kind and version; $3: of each of these so many are counted
-- all the same, so that whoever has to know whether so many wait learns it; $4: jobs of each, half the oldest and half the newest, whose
-- inputs tell how large those of the others are.
with recursive asked(lane) as (select distinct unnest($1::text[])), :waiting, open as materialized (
    select lane, kind, version, priority, tenant, queued_at, state = 'queued' as waits
    from (select *, count(*) over (partition by lane, priority) as kinds from waiting) as waiting
    cross join lateral (select tenant, queued_at, state :oldest
                        order by offered_until limit greatest(ceil($2::float8 / kinds), $3::int)) as first
), counted as materialized (
    select lane, count(*) filter (where waits) as queued, count(*) filter (where not waits) as running,
           min(queued_at) filter (where waits) as oldest, max(queued_at) filter (where waits) as newest
    from open group by lane
), sampled as materialized (
    select lane, kind, version, priority,
           avg(coalesce(octet_length(input), (select octet_length(input) from inputs where inputs.id = sample.id))) as size
    from waiting cross join lateral (
        (select id, input, state :oldest order by offered_until limit $4::int / 2)
        union all
        (select id, input, state :oldest order by offered_until desc limit $4::int / 2)
    ) as sample
    where state = 'queued' group by lane, kind, version, priority
), weighed as materialized (
    select lane, sum(jobs * size)::bigint as bytes
    from (select lane, kind, version, priority, count(*) as jobs from open where waits group by lane, kind, version, priority) as grouped
    join sampled using (lane, kind, version, priority) group by lane
), told as materialized (
    select lane, json_object_agg(tenant, queued)::text as tenants
    from (select lane, tenant, count(*) as queued from open where waits
          group by lane, tenant order by queued desc limit 1000) as most
    group by lane
), undispatched as materialized (
    select message.lane, min(queued_at) as undispatched
    from (select lane, ids from outbox order by id limit 100) as message
    join jobs on jobs.id = any(message.ids) and state = 'queued'
    group by message.lane
)
select lane, coalesce(queued, 0) as queued, coalesce(running, 0) as running,
       coalesce(extract(epoch from statement_timestamp() - oldest)::float8, 0) as oldest_queued_s,
       coalesce(extract(epoch from statement_timestamp() - newest)::float8, 0) as newest_queued_s,
       extract(epoch from statement_timestamp())::float8 as counted_at,
       coalesce(extract(epoch from statement_timestamp() - undispatched)::float8, 0) as oldest_undispatched_s,
       coalesce(bytes, 0) as queued_bytes, coalesce(tenants, '{}') as tenants,
       case when paused_at is not null
            then json_build_object('since', paused_at, 'reason', reason, 'by', paused_by)::text end as paused
from unnest($1::text[]) as asked(lane)
left join counted using (lane) left join told using (lane) left join weighed using (lane) left join undispatched using (lane) left join lanes on name = lane
