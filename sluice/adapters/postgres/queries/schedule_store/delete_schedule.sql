-- Delete a schedule by tenant and name, and write down who did it. Its jobs stay.
-- $1: tenant; $2: name; $3: whose key does it, and $4: in which request.
with gone as (
    delete from schedules where tenant = $1 and name = $2 returning tenant, name
), noted as (
    insert into audit (key_id, tenant, action, object, detail)
    select $3::text, tenant, 'schedule.delete', 'schedule/' || name, jsonb_strip_nulls(jsonb_build_object('request_id', $4::text)) from gone
)
select name from gone
