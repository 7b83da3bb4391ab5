-- Find what waits although no living consumer may run it: jobs in lanes that are not configured here, and jobs that are parked.
-- Goes from one lane, and from one kind and version, to the next along an index, and counts so many jobs of each at most.
-- $1: the lanes that are configured here; $2: the most jobs to count. Returns a lane without kind and version if nobody serves it.
with recursive lane(name) as (
    (select lane from jobs where queued_at is not null and finished_at is null order by lane, kind, handler_version, priority, offered_until limit 1)
    union all
    select next.lane from lane cross join lateral (
        select lane from jobs where queued_at is not null and finished_at is null and jobs.lane > lane.name
        order by lane, kind, handler_version, priority, offered_until limit 1
    ) as next
), parked(kind, lane, version) as (
    (select kind, lane, handler_version from jobs where offered_until = 'infinity' and finished_at is null
     order by kind, lane, handler_version, queued_at limit 1)
    union all
    select next.* from parked cross join lateral (
        select kind, lane, handler_version from jobs
        where offered_until = 'infinity' and finished_at is null
          and (jobs.kind, jobs.lane, handler_version) > (parked.kind, parked.lane, parked.version)
        order by kind, lane, handler_version, queued_at limit 1
    ) as next
)
select name as lane, null as kind, null::int as version, jobs
from lane cross join lateral (
    select count(*)::int as jobs from (select from jobs
                                       where jobs.lane = lane.name and queued_at is not null and finished_at is null
                                       and state = 'queued'
                                       order by kind, handler_version, priority, offered_until limit $2::int) as first
) as counted
where name <> all($1::text[]) and jobs > 0
  and not exists (select from consumers where lease_until > clock_timestamp() and lane.name = any(lanes))
union all
select parked.lane, parked.kind, parked.version, jobs
from parked left join :served using (kind, lane) cross join lateral (
    select count(*)::int as jobs from (select from jobs where jobs.kind = parked.kind and jobs.lane = parked.lane
                                         and handler_version = parked.version and offered_until = 'infinity'
                                         and finished_at is null and state = 'queued' limit $2::int) as first
) as counted
where lane = any($1::text[]) and jobs > 0 and (served.version is null or served.version < parked.version)
order by lane, kind nulls first, version
