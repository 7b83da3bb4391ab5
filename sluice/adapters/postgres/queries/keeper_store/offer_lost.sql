-- Offer jobs again whose messages are lost. Queues are first in, first out: a queued job has lost its message if one that was
-- queued long after its offer has been claimed, or if its queue is empty. What no consumer serves is not offered until one does, and
-- nothing of a lane that is paused.
-- $1: lanes; $2: priorities; $3: when the newest job that was claimed from each queue had been queued, null if the queue is empty;
-- a time that is still to come, as the clock has gone back, says nothing;
-- $4: the most jobs.
with recursive asked(lane) as (select distinct unnest($1::text[])), :waiting, lost as materialized (
    select old.id
    from unnest($1::text[], $2::text[], $3::timestamptz[]) as mark(lane, priority, newest) join waiting using (lane, priority)
    join :served on (served.kind, served.lane) = (waiting.kind, waiting.lane) and waiting.version <= served.version
    cross join lateral (
        select id :oldest and offered_until < coalesce(mark.newest, now() + interval '50 seconds') and state = 'queued'
        order by offered_until limit $4::int
        for update skip locked
    ) as old
    where (newest is null or newest <= now())
      and not exists (select from lanes where lanes.name = mark.lane and paused_at is not null)
    limit $4::int
), :offer_again
