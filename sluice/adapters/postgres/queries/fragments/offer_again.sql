-- Offers the jobs that are `lost` again, each at longer intervals. Returns how many there are.
changed as (
    update jobs set offers = offers + 1, offered_until = now() + least(60 * 2 ^ least(offers, 6), 3600) * interval '1 second'
    where id = any(array(select id from lost))
    returning id, state, lane, priority
), :sent
select count(*)::int from changed
