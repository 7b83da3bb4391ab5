-- Begin the next secret of an endpoint; the one before signs as well for a while. Writes down who did it.
-- $1: tenant; $2: id; $3: seconds for which both sign; $4: whose key does it, and $5: in which request; $6: id of the
-- pepper of the next.
with changed as (
    update webhook_endpoints
    set generation = generation + 1, old_until = now() + $3::float8 * interval '1 second', old_pepper_id = pepper_id,
        pepper_id = $6
    where id = $2::uuid and tenant = $1
    returning :endpoint
), noted as (
    insert into audit (key_id, tenant, action, object, detail)
    select $4::text, tenant, 'webhook.rotate', 'webhook/' || id,
           jsonb_strip_nulls(jsonb_build_object('old_until', old_until, 'request_id', $5::text))
    from changed
)
select * from changed
