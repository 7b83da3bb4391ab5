-- A job that was tried more often than allowed, or more often than it was claimed.
-- Do: set attempt to max_attempts if the job is unfinished; then its next failure is the last.
select id::text from :recent_jobs where attempt > max_attempts or attempt > fence or attempt < 0
