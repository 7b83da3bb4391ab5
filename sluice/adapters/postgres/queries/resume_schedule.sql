-- Resume schedule: a paused one goes on with another tick, so that what would have fired meanwhile is not fired.
-- $1: the schedule; $2: its next tick, where it was paused.
update schedules set paused = false, next_at = case when paused then $2::timestamptz else next_at end
where id = $1::uuid
returning id::text, tenant, name, cron, timezone, kind, input, options::text, catch_up, paused, next_at, last_at,
          last_job_id::text, created_at
