-- Count what waits and runs in each lane, and for whom, by partial indexes only.
-- $1: lock; $2: lanes; $3: priorities; $4: the most queued jobs to count of each lane; $5: seconds for which a count is good.
-- Returns nothing if another keeper counts, or has just done so.
with turn as materialized (
    select pg_try_advisory_xact_lock($1::bigint)
           and not exists (select from lanes where name = any($2::text[]) and statistics <> '{}'
                           and updated_at > now() - $5::float8 * interval '1 second') as mine
), waiting as materialized (
    select lane.name as lane, tenant, count(*) as queued, row_number() over (order by count(*) desc) as place
    from unnest($2::text[]) as lane(name)
    cross join lateral (select tenant from jobs
                        where jobs.lane = lane.name and state = 'queued' and (select mine from turn)
                        limit $4::int) as one
    group by lane.name, tenant
), running as materialized (
    select lane, count(*) as running from jobs where state = 'running' and (select mine from turn) group by lane
), oldest as materialized (
    select lane.name as lane, min(queued_at) as queued_at
    from unnest($2::text[]) as lane(name) cross join unnest($3::text[]) as rank(priority)
    cross join lateral (select queued_at from jobs
                        where jobs.lane = lane.name and jobs.priority = rank.priority and state = 'queued'
                        order by queued_at limit 1) as first
    group by lane.name
), undispatched as materialized (
    select message.lane, min(queued_at) as queued_at
    from (select lane, ids from outbox order by id limit 100) as message
    join jobs on jobs.id = any(message.ids) and state = 'queued'
    group by message.lane
)
select lane.name as lane,
       coalesce((select sum(queued)::bigint from waiting where waiting.lane = lane.name), 0) as queued,
       coalesce((select running from running where running.lane = lane.name), 0) as running,
       coalesce((select extract(epoch from clock_timestamp() - queued_at)::float8 from oldest
                 where oldest.lane = lane.name), 0) as oldest_queued_s,
       coalesce((select extract(epoch from clock_timestamp() - queued_at)::float8 from undispatched
                 where undispatched.lane = lane.name), 0) as oldest_undispatched_s,
       coalesce((select json_object_agg(tenant, queued)::text from waiting
                 where waiting.lane = lane.name and place <= 1000), '{}') as tenants
from unnest($2::text[]) as lane(name)
where (select mine from turn)
