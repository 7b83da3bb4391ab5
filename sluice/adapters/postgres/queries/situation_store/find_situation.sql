-- Find a job with what it waits for: whether its lane is paused, who serves it, how many of its lane and priority are before it, by one
-- index, and its newest attempts.
-- $1: the tenant; $2: the id; $3: the most jobs to count; $4: the most attempts.
with recursive asked(lane) as (
    select lane from jobs where id = $2::uuid and tenant = $1 and state = 'queued'
), :waiting, before as materialized (
    select older.offered_until
    from jobs as own join waiting on (waiting.lane, waiting.priority) = (own.lane, own.priority) cross join lateral (
        select offered_until :oldest and state = 'queued' and offered_until < own.offered_until
        order by offered_until limit $3::int
    ) as older
    where own.id = $2::uuid
    limit $3::int
)
select :job, null::bytea as input, null::bytea as result, null::bytea as error,
       handler_version, paused_at as since, reason, paused_by as by,
       exists (select from consumers where :living and jobs.lane = any(lanes)) as lane_served,
       (select max(known.version) from consumers, unnest(kinds, versions) as known(kind, version)
        where :living and jobs.lane = any(lanes) and known.kind = jobs.kind) as served,
       (select count(*)::int from before) as ahead,
       (select coalesce(json_agg(json_build_array(attempt, outcome, started_at, finished_at) order by fence), '[]')::text
        from (select fence, attempt, outcome, started_at, finished_at from attempts
              where job_id = jobs.id order by fence desc limit $4::int) as newest) as tries
from jobs left join lanes on lanes.name = jobs.lane and paused_at is not null
where jobs.id = $2::uuid and tenant = $1
