-- Pause a schedule by tenant and name, and write down who did it. Its next tick stays as it was, and no keeper fires it.
-- $1: tenant; $2: name; $3: whose key does it, and $4: in which request.
with changed as (
    update schedules set paused = true where tenant = $1 and name = $2 returning *
), noted as (
    insert into audit (key_id, tenant, action, object, detail)
    select $3::text, tenant, 'schedule.pause', 'schedule/' || name, jsonb_strip_nulls(jsonb_build_object('request_id', $4::text)) from changed
)
select :schedule from changed
