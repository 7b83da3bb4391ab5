-- What waits or runs in the lanes that are `asked` for, by kind, version and priority: from one to the next by a step along an index, however many
-- jobs each has.
waiting(lane, kind, version, priority) as (
    select first.* from asked cross join lateral (
        select lane, kind, handler_version, priority from jobs
        where jobs.lane = asked.lane and queued_at is not null and finished_at is null
        order by kind, handler_version, priority, offered_until limit 1
    ) as first
    union all
    select next.* from waiting cross join lateral (
        select lane, kind, handler_version, priority from jobs
        where jobs.lane = waiting.lane and (jobs.kind, handler_version, jobs.priority) > (waiting.kind, waiting.version, waiting.priority)
          and queued_at is not null and finished_at is null
        order by kind, handler_version, priority, offered_until limit 1
    ) as next
)
