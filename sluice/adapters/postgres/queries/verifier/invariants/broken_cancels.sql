-- A job that succeeded or failed although a cancel had been accepted before.
-- Do: report it, with the row and its attempts: no statement of ours can do this.
select id::text from :recent_jobs where cancel_requested_at is not null and state in ('succeeded', 'failed')
