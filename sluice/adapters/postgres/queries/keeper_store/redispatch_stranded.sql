-- Offer jobs again that are stranded: their queue in RabbitMQ was seen empty twice, so their messages are gone.
-- $1: lock; $2: lanes; $3: priorities; $4: seconds since a job was queued; $5: the most jobs.
with turn as materialized (
    select pg_try_advisory_xact_lock($1::bigint) as mine
), lost as materialized (
    select jobs.id
    from unnest($2::text[], $3::text[]) as mark(lane, priority)
    join jobs on jobs.lane = mark.lane and jobs.priority = mark.priority and state = 'queued'
             and queued_at < now() - $4::float8 * interval '1 second'
    where (select mine from turn)
    order by jobs.id limit $5::int
    for update of jobs skip locked
), :offer_lost
