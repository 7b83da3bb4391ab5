-- List the unfinished jobs of a batch, each found by its key.
-- $1: tenant; $2: id.
select distinct job.id::text
from batches
cross join lateral unnest(items) as item(id)
cross join lateral (select id from jobs where jobs.id = item.id and finished_at is null limit 1) as job
where batches.id = $2::uuid and tenant = $1
