-- The delivery that has been due for longest of each endpoint of webhooks for which something has been due for ten minutes while nothing was
-- tried: a slow endpoint has a backlog, but is tried all the time. What was tried meanwhile was due before, and made before that.
(with recursive pending(endpoint) as (
    (select endpoint from webhook_deliveries where due is not null order by endpoint limit 1)
    union all
    select (select next.endpoint from webhook_deliveries as next where next.due is not null and next.endpoint > pending.endpoint
            order by next.endpoint limit 1)
    from pending where pending.endpoint is not null
)
select first.id, endpoint
from pending cross join lateral (
    select id, due from webhook_deliveries as waiting where waiting.endpoint = pending.endpoint and due is not null order by due limit 1
) as first
where due < now() - interval '10 minutes' - :patience
  and not exists (select from (select tried_at from webhook_deliveries as before
                               where before.endpoint = pending.endpoint and before.created_at <= first.due
                               order by before.created_at desc limit :newest) as before
                  where tried_at > now() - interval '10 minutes' - :patience)) as stalled
