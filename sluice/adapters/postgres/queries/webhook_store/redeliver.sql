-- Send again what was sent to an endpoint: one delivery that is done, or those that failed since a time, but not what asked it to prove itself. Writes down
-- who did it. What is being sent is left alone.
-- $1: tenant; $2: id of the endpoint; $3: the delivery, or null; $4: since when; $5: the most; $6: whose key does it, and $7: in which
-- request. Returns how many; nothing if the endpoint is not there, or is disabled.
with endpoint as materialized (
    select id, tenant from webhook_endpoints where id = $2::uuid and tenant = $1 and disabled_at is null
), wanted as materialized (
    select id from webhook_deliveries
    where id = any(array(
        select id from webhook_deliveries
        where endpoint = (select id from endpoint) and done_at is not null and event <> 'webhook.verify'
          and case when $3::uuid is not null then id = $3::uuid else failed and created_at >= $4::timestamptz end
        order by created_at, id limit $5::int))
    order by id
    for update
), again as (
    update webhook_deliveries set due = now(), done_at = null, failed = null, tries = 0, taken_until = null
    where id = any(array(select id from wanted))
    returning id
), noted as (
    insert into audit (key_id, tenant, action, object, detail)
    select $6::text, tenant, 'webhook.redeliver', 'webhook/' || id,
           jsonb_strip_nulls(jsonb_build_object('delivery', $3::text, 'since', $4::timestamptz, 'changed', (select count(*) from again),
                                                'request_id', $7::text))
    from endpoint
)
select (select count(*)::int from again) from endpoint
