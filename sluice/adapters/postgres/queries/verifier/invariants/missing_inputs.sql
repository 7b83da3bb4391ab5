-- A job whose input is neither in its row nor in the table of long inputs: it cannot be run, or tried again.
-- Do: cancel it if it is unfinished, and submit it anew; see who deleted from the table inputs by hand.
select jobs.id::text from :recent_jobs
where input is null and not exists (select from inputs where inputs.id = jobs.id)
