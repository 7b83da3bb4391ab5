-- Resume a paused schedule with another tick, so that what would have fired meanwhile is not fired. Writes down who did it.
-- $1: the schedule; $2: its next tick, if it was paused; $3: whose key does it, and $4: in which request.
with changed as (
    update schedules set paused = false, next_at = case when paused then $2::timestamptz else next_at end
    where id = $1::uuid
    returning *
), noted as (
    insert into audit (key_id, tenant, action, object, detail)
    select $3::text, tenant, 'schedule.resume', 'schedule/' || name, jsonb_strip_nulls(jsonb_build_object('request_id', $4::text)) from changed
)
select :schedule from changed
