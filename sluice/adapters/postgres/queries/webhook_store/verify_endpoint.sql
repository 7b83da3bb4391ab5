-- Ask an endpoint to prove that it wants what is sent, and write down who did it. What asked before proves nothing any more.
-- $1: tenant; $2: id of the endpoint; $3: what asks; $4: whose key does it, and $5: in which request. Returns the id of the delivery.
with changed as (
    update webhook_endpoints set verification = gen_random_uuid(), verification_failed = null
    where id = $2::uuid and tenant = $1
    returning id, tenant, verification
), asked as (
    insert into webhook_deliveries (id, endpoint, tenant, event, body, due)
    select verification, id, tenant, 'webhook.verify', $3::bytea, now() from changed
), noted as (
    insert into audit (key_id, tenant, action, object, detail)
    select $4::text, tenant, 'webhook.verify', 'webhook/' || id, jsonb_strip_nulls(jsonb_build_object('request_id', $5::text)) from changed
)
select verification::text from changed
