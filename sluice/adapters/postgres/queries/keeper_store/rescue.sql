-- Rescue jobs whose lease is over: they are queued again. The death of a consumer says nothing about any one of its jobs, as
-- none of them runs in it; very many deaths do. A lease that is not there at all is over.
-- What is claimed meanwhile has another fence, and perhaps a lease that was taken meanwhile and is not seen here. What somebody else has
-- locked is left to the next turn, or it would hold up all others.
-- $1: ids; $2: the leases that are over; $3: lost consumers after which a job fails.
with found as materialized (
    select id, fence from jobs
    where id = any($1::uuid[]) and owner is not null and owner <> all(array(select id from consumers where id <> all($2::uuid[])))
), lost as materialized (
    select id, fence, attempt as tried, owner, started_at, crash_count - solo_crashes + 1 >= $3::int as given_up,
           :lost_print as print
    from jobs join found using (id, fence)
    where owner is not null
    order by id
    for update of jobs skip locked
), changed as (
    update jobs
    set state = case when cancel_requested_at is not null then 'cancelled' when given_up then 'failed' else 'queued' end,
        version = version + 1, attempt = attempt - (not given_up)::int,
        crash_count = crash_count + 1,
        owner = null, progress = null,
        queued_at = case when cancel_requested_at is null and not given_up then now() else queued_at end,
        :queued_anew,
        finished_at = case when cancel_requested_at is not null or given_up then now() end,
        expires_at = case when cancel_requested_at is not null or given_up then now() + keep_s * interval '1 second' end,
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
), :sent
select :job, null::bytea as input, result, error from changed as jobs
