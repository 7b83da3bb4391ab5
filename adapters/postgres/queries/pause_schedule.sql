-- Pause schedule, or let it go on: from $4 then, so that what would have fired meanwhile is not fired.
-- $1: tenant; $2: name; $3: whether it is to be paused; $4: its next tick, where it goes on.
update schedules set paused = $3, next_at = case when paused and not $3 then $4::timestamptz else next_at end
where tenant = $1 and name = $2
returning id::text, tenant, name, cron, timezone, kind, input, options::text, catch_up, paused, next_at, last_at,
          last_job_id::text, created_at
