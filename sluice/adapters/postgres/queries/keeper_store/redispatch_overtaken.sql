-- Offer jobs again that were overtaken: queues are first in, first out, so a queued job that is much older than one claimed
-- from its queue has lost its message.
-- $1: lock; $2: lanes; $3: priorities; $4: queued_at of the newest claim from each; $5: seconds of patience; $6: the most jobs.
with turn as materialized (
    select pg_try_advisory_xact_lock($1::bigint) as mine
), lost as materialized (
    select jobs.id
    from unnest($2::text[], $3::text[], $4::timestamptz[]) as mark(lane, priority, newest)
    join jobs on jobs.lane = mark.lane and jobs.priority = mark.priority and state = 'queued'
             and queued_at < mark.newest - $5::float8 * interval '1 second'
    where (select mine from turn)
    order by jobs.id limit $6::int
    for update of jobs skip locked
), :offer_lost
