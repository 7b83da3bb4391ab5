-- Find those of these jobs whose clients have asked for their cancel.
-- $1: ids; $2: fences.
select jobs.id::text, jobs.fence
from unnest($1::uuid[], $2::int[]) as t(id, fence) join jobs using (id, fence)
where cancel_requested_at is not null
