-- A job whose state or priority is unknown, or that waits without the time by which it would be found, or
-- with one that hides it.
-- Do: see who wrote to the table by hand; set run_at or queued_at to now() to let the job run, and queued_at to null while
-- it is scheduled.
select id::text from jobs
where finished_at is null
  and ((state = 'queued' and queued_at is null) or (state = 'scheduled' and (run_at is null or queued_at is not null)))
union all
select id::text from :recent_jobs
where state not in ('scheduled', 'queued', 'running', 'succeeded', 'failed', 'cancelled')
   or priority not in ('high', 'normal', 'low', 'overflow')
