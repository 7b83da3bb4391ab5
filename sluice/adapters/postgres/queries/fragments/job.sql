-- The columns of a job that every statement reads alike, in the order of the fields of sluice.core.job.Job. `input`,
-- `result` and `error` come after these: they are long, and few statements read them.
jobs.id::text, jobs.tenant, jobs.kind, jobs.lane, jobs.priority, jobs.state, jobs.version, jobs.fence, jobs.attempt,
       jobs.max_attempts, jobs.crash_count, jobs.solo_crashes, jobs.timeout_s, jobs.deadline, jobs.run_at, jobs.queued_at,
       jobs.tags, jobs.traceparent, jobs.retry_of::text, jobs.fingerprint, jobs.cancel_requested_at, jobs.progress,
       jobs.created_at, jobs.started_at, jobs.finished_at
