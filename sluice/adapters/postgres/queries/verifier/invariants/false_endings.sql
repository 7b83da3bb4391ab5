-- A job whose state and ending disagree: finished without a time or without an end of the
-- time for which it is kept, a success without a result, a failure without an error, or the reverse of one of these.
-- Do: see who wrote to the table by hand; restore the row from a backup.
select id::text from :recent_jobs
where (state in ('succeeded', 'failed', 'cancelled')) <> (finished_at is not null)
   or (finished_at is null) <> (expires_at is null)
   or (state = 'succeeded') <> (result is not null)
   or (state = 'succeeded' and error is not null)
   or (state = 'failed' and error is null)
