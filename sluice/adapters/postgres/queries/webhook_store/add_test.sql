-- Make a delivery that tells of no job, and write down who did it.
-- $1: tenant; $2: id of the endpoint; $3: what is sent; $4: whose key does it, and $5: in which request.
with made as (
    insert into webhook_deliveries (id, endpoint, tenant, event, body, due)
    select gen_random_uuid(), id, tenant, 'webhook.test', $3::bytea, now()
    from webhook_endpoints
    where id = $2::uuid and tenant = $1 and disabled_at is null
    returning id, endpoint, tenant
), noted as (
    insert into audit (key_id, tenant, action, object, detail)
    select $4::text, tenant, 'webhook.test', 'webhook/' || endpoint, jsonb_strip_nulls(jsonb_build_object('request_id', $5::text)) from made
)
select id::text from made
