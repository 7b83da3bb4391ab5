-- Rescue jobs whose lease ran out: they are queued again. The death of a consumer says nothing about any one of its jobs, as
-- none of them runs in it; very many deaths do. Nothing is rescued until one lease after PostgreSQL came back, as no consumer could renew leases before.
-- $1: lock; $2: lease in seconds; $3: the most jobs to take; $4: lost consumers after which a job fails; $5: kinds, and
-- $6: the fingerprint of this error for each. Jobs of other kinds are left for the next time.
with turn as materialized (
    select pg_try_advisory_xact_lock($1::bigint)
           and pg_postmaster_start_time() + $2::float8 * interval '1 second' < clock_timestamp() as mine
), expired as materialized (
    select id, kind, fence, attempt as tried, owner, started_at,
           crash_count - solo_crashes + 1 >= $4::int as given_up
    from jobs
    where state = 'running' and lease_until < clock_timestamp() and (select mine from turn)
    order by id
    limit $3::int
    for update skip locked
), lost as (
    select expired.*, print from expired join unnest($5::text[], $6::text[]) as known(kind, print) using (kind)
), rescued as (
    update jobs
    set state = case when cancel_requested_at is not null then 'cancelled' when given_up then 'failed' else 'queued' end,
        version = version + 1, attempt = attempt - (not given_up)::int,
        crash_count = crash_count + 1,
        owner = null, lease_until = null, progress = null,
        queued_at = case when cancel_requested_at is null and not given_up then now() else queued_at end,
        finished_at = case when cancel_requested_at is not null or given_up then now() end,
        error = convert_to(json_build_object('type', 'worker-lost', 'title', 'The process running the job died',
            'detail', '', 'retryable', not given_up, 'attempt', attempt, 'fingerprint', print)::text, 'UTF8'),
        error_fingerprint = case when cancel_requested_at is null and given_up then print end
    from lost
    where jobs.id = lost.id
    returning jobs.*
), tries as (
    insert into attempts (job_id, fence, attempt, outcome, owner, started_at)
    select id, fence, tried, 'lease-lost', owner, started_at from lost
    on conflict do nothing
), again as (
    insert into outbox (lane, priority, ids, due)
    select lane, priority, array_agg(id), now() from rescued where state = 'queued' group by lane, priority
)
select :job, null::bytea as input, result, error from rescued as jobs
