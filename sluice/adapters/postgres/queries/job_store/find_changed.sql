-- Find which of these jobs have another version than is known: these with all that is shown of them, the others with what tells when
-- to ask again. Once 4 MiB of results are found, further ones are left out. A finished job is waited for until no failover can undo
-- its end. The ids are named twice, so that jobs are found by their key however small the table was when this was planned.
-- $1: ids. $2: the versions known. $3: the tenants they belong to. Rows come with the position in these.
select known.position, seen.version, seen.state, seen.lane,
       case seen.state when 'queued' then seen.queued_at when 'scheduled' then seen.run_at else seen.started_at end as since,
       :job, null::bytea as input,
       case when coalesce(sum(octet_length(jobs.result)) over (order by jobs.id rows between unbounded preceding and 1 preceding), 0)
                 < 4194304
            then jobs.result end as result,
       jobs.error
from unnest($1::uuid[], $2::integer[], $3::text[]) with ordinality as known (id, version, tenant, position)
join jobs as seen on seen.id = known.id and seen.tenant = known.tenant and seen.id = any($1)
left join lateral (select seen.*) as jobs on seen.version <> known.version
where jobs.finished_at is null or (select :replicated)
