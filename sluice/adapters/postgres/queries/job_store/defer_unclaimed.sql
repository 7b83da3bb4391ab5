-- Deal with jobs that could not be claimed: those of kinds or versions unknown here are offered to others that serve them, after longer
-- and longer pauses, or, if nobody serves them now, as soon as somebody does; the overdue fail; the rest are void.
-- $1: ids; $2: kinds known here; $3: their versions.
with seen as materialized (
    select id, kind, handler_version, lane, deadline <= now() as overdue
    from jobs
    where id = any($1::uuid[]) and state = 'queued'
    order by id
    for update
), foreign_kinds as materialized (
    select seen.id, served.version is not null as is_served
    from seen left join :served
        on (served.kind, served.lane) = (seen.kind, seen.lane) and seen.handler_version <= served.version
    where overdue is not true
      and (seen.handler_version <= ($3::int[])[array_position($2::text[], seen.kind)]) is not true
), unoffered as (
    update jobs
    set offers = 1, offered_until = now()
    where id = any(array(select id from foreign_kinds where not is_served)) and offered_until > now()
), put_off as (
    update jobs
    set offers = offers + 1, offered_until = now() + least(60 * 2 ^ least(offers, 6), 3600) * interval '1 second'
    where id = any(array(select id from foreign_kinds where is_served))
    returning id, lane, priority, offers
), sent as (
    insert into outbox (lane, priority, ids, due)
    select lane, priority, array_agg(id), now() + least(2 ^ least(min(offers), 6), 60) * interval '1 second'
    from put_off group by lane, priority
), late as (
    select id from seen where overdue
)
:overdue
