-- The columns of a schedule, in the order of the fields of sluice.core.schedule.Schedule.
id::text, tenant, name, cron, timezone, kind, input, options::text, catch_up, paused, next_at, last_at,
       last_job_id::text, created_at
