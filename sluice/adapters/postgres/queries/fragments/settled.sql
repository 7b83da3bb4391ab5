-- Settles attempts: writes their endings, each guarded by its fence, and by its owner, as a failover may have undone the claim and another
-- may have raised the fence again. What does not come back was refused as stale, or is locked by somebody else.
-- A requested cancel turns every ending into `cancelled`. Of attempts that do not count, which may be any number, those of the
-- last 100 claims are kept.
-- $1..$12: ids, fences, owners, states, outcomes, results, errors, tracebacks, delays in seconds, uncounted, solo crashes, and the
-- fingerprints of errors that are final.
held as materialized (
    select id, fence, owner from jobs where id = any($1::uuid[]) and state = 'running' order by id for update skip locked
), ended as materialized (
    select t.* from unnest($1::uuid[], $2::int[], $3::uuid[], $4::text[], $5::text[], $6::bytea[], $7::bytea[], $8::text[],
                           $9::float8[], $10::int[], $11::int[], $12::text[])
        as t(id, fence, owner, state, outcome, result, error, traceback, delay_s, uncounted, solo_crash, error_fingerprint)
    join held using (id, fence, owner)
), changed as (
    update jobs
    set state = case when cancel_requested_at is null then ended.state else 'cancelled' end,
        version = version + 1,
        result = case when cancel_requested_at is null then ended.result end,
        error = case when ended.outcome <> 'postponed' then ended.error end,
        error_fingerprint = case when cancel_requested_at is null then ended.error_fingerprint end,
        attempt = attempt - uncounted,
        crash_count = crash_count + solo_crash,
        solo_crashes = solo_crashes + solo_crash,
        run_at = case when ended.state = 'scheduled' then now() + delay_s * interval '1 second' else run_at end,
        queued_at = case ended.state when 'queued' then now() when 'scheduled' then null else queued_at end,
        :queued_anew,
        finished_at = case when cancel_requested_at is not null or ended.state in ('succeeded', 'failed') then now() end,
        expires_at = case when cancel_requested_at is not null or ended.state in ('succeeded', 'failed')
                          then now() + keep_s * interval '1 second' end,
        owner = null, progress = null
    from ended
    where jobs.id = ended.id
    returning jobs.id, jobs.fence, ended.owner, jobs.state, version, finished_at, lane, priority, attempt, started_at
), tries as (
    insert into attempts (job_id, fence, attempt, outcome, error, traceback, started_at)
    select id, ended.fence, attempt + uncounted, outcome, error, traceback, started_at
    from ended join changed using (id)
    where ended.state <> 'succeeded'
    on conflict do nothing
), forgotten as (
    delete from attempts using ended
    where ended.outcome in ('postponed', 'released') and attempts.job_id = ended.id and attempts.fence <= ended.fence - 100
      and attempts.outcome in ('postponed', 'released')
), :sent
