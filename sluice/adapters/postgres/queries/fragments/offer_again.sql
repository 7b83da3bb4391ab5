-- Offers the jobs that are `lost` again, each at longer intervals. Returns how many there are.
offered as (
    update jobs set offers = offers + 1, offered_until = now() + least(60 * 2 ^ least(offers, 6), 3600) * interval '1 second'
    where id = any(array(select id from lost))
    returning id, lane, priority
), sent as (
    insert into outbox (lane, priority, ids, due)
    select lane, priority, array_agg(id), now() from offered group by lane, priority
)
select count(*)::int from offered
