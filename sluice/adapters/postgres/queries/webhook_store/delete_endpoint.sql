-- Delete an endpoint, and write down who did it. Its deliveries, of which there may be any number, are given up and go later.
-- $1: tenant; $2: id; $3: whose key does it, and $4: in which request.
with gone as (
    delete from webhook_endpoints where id = $2::uuid and tenant = $1 returning id, tenant, url
), noted as (
    insert into audit (key_id, tenant, action, object, detail)
    select $3::text, tenant, 'webhook.delete', 'webhook/' || id, jsonb_strip_nulls(jsonb_build_object('url', url, 'request_id', $4::text))
    from gone
)
select id from gone
