-- Give up deliveries to endpoints that are disabled or gone, but for what asks a disabled one to prove itself, and for what is being sent: that may still
-- arrive. Endpoints are found one after the other along the index.
-- $1: the most.
with recursive pending(endpoint) as (
    (select endpoint from webhook_deliveries where due is not null order by endpoint limit 1)
    union all
    select (select next.endpoint from webhook_deliveries as next where next.due is not null and next.endpoint > pending.endpoint
            order by next.endpoint limit 1)
    from pending where pending.endpoint is not null
), over as materialized (
    select endpoint from pending
    where endpoint is not null and not exists (select from webhook_endpoints where id = pending.endpoint and disabled_at is null)
), found as materialized (
    select id from webhook_deliveries
    where id = any(array(select first.id from over cross join lateral (
        select id from webhook_deliveries
        where endpoint = over.endpoint and due is not null and coalesce(taken_until, '-infinity') <= now()
          and id is distinct from (select verification from webhook_endpoints where webhook_endpoints.id = over.endpoint)
        order by due limit $1::int) as first limit $1::int))
    order by id
    for update skip locked
)
update webhook_deliveries
set due = null, done_at = now(), failed = true, taken_until = null, outcome = coalesce(outcome, 'not sent: the endpoint is disabled or gone')
where id = any(array(select id from found))
returning 1
