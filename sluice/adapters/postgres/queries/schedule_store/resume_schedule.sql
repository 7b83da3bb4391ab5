-- Resume a paused schedule with another tick, so that what would have fired meanwhile is not fired.
-- $1: the schedule; $2: its next tick, if it was paused.
update schedules set paused = false, next_at = case when paused then $2::timestamptz else next_at end
where id = $1::uuid
returning :schedule
