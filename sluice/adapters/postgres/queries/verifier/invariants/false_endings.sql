-- A success with an error, or a failure without one.
-- Do: see who wrote to the table by hand; restore the row from a backup.
select id::text from :recent_jobs
where (state = 'succeeded' and error is not null) or (state = 'failed' and error is null)
