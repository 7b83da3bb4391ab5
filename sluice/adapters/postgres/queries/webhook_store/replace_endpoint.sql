-- Replace what an endpoint is, and let it go on if it was disabled; its secret stays. Writes down who did it.
-- $1: tenant; $2: id; $3: URL; $4: events, $5: kinds, $6: tags; $7: whose key does it, and $8: in which request.
with changed as (
    update webhook_endpoints
    set url = $3::text, events = $4::text[], kinds = $5::text[], tags = $6::text[],
        failing_since = null, failures = 0, rests_until = null, disabled_at = null, disabled_why = null
    where id = $2::uuid and tenant = $1
    returning :endpoint
), noted as (
    insert into audit (key_id, tenant, action, object, detail)
    select $7::text, tenant, 'webhook.replace', 'webhook/' || id, jsonb_strip_nulls(jsonb_build_object('url', url, 'request_id', $8::text))
    from changed
)
select * from changed
