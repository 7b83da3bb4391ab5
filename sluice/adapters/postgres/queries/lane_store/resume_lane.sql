-- Resume a lane, and write down who did it. Returns nothing if it was not paused.
-- $1: the lane; $2: the tenant whose key does it, $3: the key, and $4: in which request.
with changed as (
    delete from lanes where name = $1 and paused_at is not null returning name
), noted as (
    insert into audit (key_id, tenant, action, object, detail)
    select $3::text, $2::text, 'lane.resume', 'lane/' || name, jsonb_strip_nulls(jsonb_build_object('request_id', $4::text)) from changed
)
select name from changed
