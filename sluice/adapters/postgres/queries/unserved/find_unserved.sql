-- Find what has waited for a minute although no living consumer may run it; one may just be restarted. What waits in a paused lane waits
-- for an operator. Goes from one lane, kind and version
-- to the next along an index, and counts so many jobs of each at most.
-- $1: the most jobs to count.
with recursive asked(lane) as (
    (select lane from jobs where queued_at is not null and finished_at is null
     order by lane, kind, handler_version, priority, offered_until limit 1)
    union all
    select next.lane from asked cross join lateral (
        select lane from jobs where queued_at is not null and finished_at is null and jobs.lane > asked.lane
        order by lane, kind, handler_version, priority, offered_until limit 1
    ) as next
), :waiting
select lane, kind, waiting.version, least(sum(jobs), $1::int)::int
from waiting left join :served using (lane, kind) cross join lateral (
    select count(*)::int as jobs from (select :oldest and state = 'queued' and queued_at < now() - interval '1 minute'
                                       order by offered_until limit $1::int) as first
) as counted
where (served.version is null or served.version < waiting.version)
  and not exists (select from lanes where lanes.name = lane and paused_at is not null)
group by lane, kind, waiting.version having sum(jobs) > 0
order by lane, kind, waiting.version
