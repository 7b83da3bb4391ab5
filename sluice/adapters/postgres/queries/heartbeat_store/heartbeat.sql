-- Extend the lease of every claim that still holds, and store progress where there is any.
-- $1: ids; $2: fences; $3: progress or null; $4: lease in seconds. Claims that do not come back are lost.
with held as materialized (
    select id, fence from jobs where id = any($1::uuid[]) and state = 'running' order by id for update
)
update jobs
set lease_until = clock_timestamp() + $4::float8 * interval '1 second',
    progress = coalesce(t.progress, jobs.progress),
    version = version + (t.progress is not null)::int
from unnest($1::uuid[], $2::int[], $3::bytea[]) as t(id, fence, progress) join held using (id, fence)
where jobs.id = t.id
returning jobs.id::text, jobs.fence, cancel_requested_at is not null as cancel_requested, version, t.progress is not null as moved
