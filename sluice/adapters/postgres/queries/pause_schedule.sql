-- Pause schedule: by tenant and name. Its next tick stays as it was, and nobody fires it.
update schedules set paused = true where tenant = $1 and name = $2
returning id::text, tenant, name, cron, timezone, kind, input, options::text, catch_up, paused, next_at, last_at,
          last_job_id::text, created_at
