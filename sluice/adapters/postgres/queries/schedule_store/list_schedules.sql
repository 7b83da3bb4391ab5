-- List the schedules of a tenant by name, without their inputs.
-- $1: tenant; $2: the name to begin after; $3: the most to return.
select id::text, tenant, name, cron, timezone, kind, null::bytea as input, options::text, catch_up, paused, next_at,
       last_at, last_job_id::text, created_at
from schedules where tenant = $1 and name > $2
order by name limit $3::int
