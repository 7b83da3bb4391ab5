-- Find schedule: by tenant and name.
select id::text, tenant, name, cron, timezone, kind, input, options::text, catch_up, paused, next_at, last_at,
       last_job_id::text, created_at
from schedules where tenant = $1 and name = $2
