-- A job that succeeded or failed although a cancel had been accepted before, or that was cancelled although nobody had asked.
-- Do: report it, with the row and its attempts: no statement of ours can do this.
select id::text from :recent_jobs
where (state in ('succeeded', 'failed') and cancel_requested_at is not null)
   or (state = 'cancelled' and cancel_requested_at is null)
