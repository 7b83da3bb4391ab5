-- Take deliveries whose time has come. Of each endpoint at most four are under way in the whole fleet, so that one that is slow holds up no other and is not
-- overrun; of one whose last five tries failed it is one, after a rest. To one that is disabled goes what asks it to
-- prove itself, and nothing else: once all else is given up, or it would go on with that. Endpoints are found one after the other along the index, those alone for which something is to be sent.
-- What is under way is due when its time is over: so that those that wait are not counted, however many.
-- $1: the most to take; $2: seconds for which nobody else takes them; then they are due again.
with recursive pending(endpoint) as (
    (select endpoint from webhook_deliveries where due is not null order by endpoint limit 1)
    union all
    select (select next.endpoint from webhook_deliveries as next where next.due is not null and next.endpoint > pending.endpoint
            order by next.endpoint limit 1)
    from pending where pending.endpoint is not null
), awake as materialized (
    select id, url, generation, old_until > now() as two_secrets, case when failures < 5 then 4 else 1 end as most, disabled_at, verification
    from webhook_endpoints
    where id = any(array(select endpoint from pending)) and (disabled_at is null or verification is not null)
      and coalesce(rests_until, '-infinity') <= now()
), found as materialized (
    select first.id, first.due
    from awake cross join lateral (
        select id, due from webhook_deliveries
        where endpoint = awake.id and due <= now() and disabled_at is null
        order by due
        limit greatest(0, awake.most - (select count(*) from webhook_deliveries as sent
                                        where sent.endpoint = awake.id and sent.taken_until > now() and sent.due > now()
                                          and sent.due <= now() + $2::float8 * interval '1 second'))
    ) as first
    union all
    select id, due from webhook_deliveries
    where id = any(array(select verification from awake
                         where disabled_at is not null
                           and (select other.id from webhook_deliveries as other
                                where other.endpoint = awake.id and other.due is not null and other.id <> awake.verification
                                order by other.due limit 1) is null))
      and due <= now()
    order by due limit $1::int
), locked as materialized (
    select id from webhook_deliveries where id = any(array(select id from found)) and due <= now() order by id for update skip locked
), taken as (
    update webhook_deliveries
    set due = now() + $2::float8 * interval '1 second', taken_until = now() + $2::float8 * interval '1 second', tries = tries + 1,
        tried_at = now()
    where id = any(array(select id from locked))
    returning id, endpoint, event, body, tries
)
select taken.id::text, endpoint::text, url, generation, two_secrets is true as two_secrets, event, body, tries
from taken join awake on awake.id = endpoint
