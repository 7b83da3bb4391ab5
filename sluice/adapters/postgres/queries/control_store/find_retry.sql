-- Find the job that tries a failed one again.
-- $1: tenant; $2: the failed job.
select :job, null::bytea as input, result, error from jobs where retry_of = $2::uuid and tenant = $1 and :replicated
