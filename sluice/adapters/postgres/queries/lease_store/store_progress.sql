-- Store the progress of jobs that run; what does not come back runs no more, or is locked by somebody else.
-- $1: ids; $2: fences; $3: owners; $4: progress.
with held as materialized (
    select id, fence, owner from jobs where id = any($1::uuid[]) and state = 'running' order by id for update skip locked
)
update jobs
set progress = t.progress, version = version + 1
from unnest($1::uuid[], $2::int[], $3::uuid[], $4::bytea[]) as t(id, fence, owner, progress) join held using (id, fence, owner)
where jobs.id = t.id
returning jobs.id::text, version
