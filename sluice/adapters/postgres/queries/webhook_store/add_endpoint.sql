-- Add an endpoint of webhooks, and write down who did it. One that is to be verified is disabled, and asked.
-- $1: tenant; $2: URL; $3: events, $4: kinds, $5: tags that it asks for; $6: the most endpoints of a tenant; $7: whose key does it, and
-- $8: in which request; $9: id of the pepper of its secret; $10: what asks it to prove itself (null: nothing). Returns nothing if there are as many
-- as there may be.
with made as (
    insert into webhook_endpoints (id, tenant, url, events, kinds, tags, pepper_id, unverified, verification, disabled_at, disabled_why)
    select gen_random_uuid(), $1::text, $2::text, $3::text[], $4::text[], $5::text[], $9::text, $10::bytea is not null,
           case when $10 is not null then gen_random_uuid() end, case when $10 is not null then now() end,
           case when $10 is not null then :unverified end
    where (select count(*) from (select from webhook_endpoints where tenant = $1 limit $6::int) as there) < $6::int
    returning *
), asked as (
    insert into webhook_deliveries (id, endpoint, tenant, event, body, due)
    select verification, id, tenant, 'webhook.verify', $10, now() from made where $10 is not null
), noted as (
    insert into audit (key_id, tenant, action, object, detail)
    select $7::text, tenant, 'webhook.create', 'webhook/' || id, jsonb_strip_nulls(jsonb_build_object('url', url, 'request_id', $8::text))
    from made
)
select :endpoint from made
