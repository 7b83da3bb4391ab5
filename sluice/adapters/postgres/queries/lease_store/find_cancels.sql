-- Find those of these jobs whose clients have asked for their cancel.
-- $1: ids; $2: fences; $3: owners.
select jobs.id::text, jobs.fence, jobs.owner
from unnest($1::uuid[], $2::int[], $3::uuid[]) as t(id, fence, owner) join jobs using (id, fence, owner)
where jobs.id = any($1::uuid[]) and cancel_requested_at is not null
