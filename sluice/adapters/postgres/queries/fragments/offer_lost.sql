-- Offers the jobs that are `lost` again: they count as queued from now on. Returns how many there are.
queued as (
    update jobs set queued_at = now() from lost where jobs.id = lost.id returning jobs.id, lane, priority
), sent as (
    insert into outbox (lane, priority, ids, due)
    select lane, priority, array_agg(id), now() from queued group by lane, priority
)
select count(*)::int from queued
