-- Make a delivery of each ending for each endpoint that asks for it or was named by the submit, and forget the endings. Two keepers that tell the same wait for each
-- other, in one order, and the second finds nothing.
-- $1: numbers of endings, in order; $2: what is sent, for each. Returns how many deliveries there are.
with found as materialized (
    select n, id, tenant, kind, state, tags, webhook from endings
    where listener = 'webhooks' and n = any($1::bigint[])
    order by n
    for update
), told as (
    delete from endings where listener = 'webhooks' and n = any(array(select n from found))
), made as (
    insert into webhook_deliveries (id, endpoint, tenant, job_id, event, body, due)
    select gen_random_uuid(), endpoint.id, found.tenant, found.id, 'job.' || state, body, now()
    from found
    join unnest($1::bigint[], $2::bytea[]) as sent(n, body) using (n)
    join webhook_endpoints as endpoint on endpoint.tenant = found.tenant and disabled_at is null
    where (:asked_for) or uuid_send(endpoint.id) = found.webhook
    returning id
)
select count(*)::int from made
