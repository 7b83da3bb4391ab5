-- A job that killed its process three times while it was alone and was not given up, or that counts more lone deaths
-- than deaths.
-- Do: cancel it before it is claimed again.
select id::text from :recent_jobs
where solo_crashes > crash_count
   or (solo_crashes >= :solo_crash_limit and state in ('scheduled', 'queued', 'running'))
