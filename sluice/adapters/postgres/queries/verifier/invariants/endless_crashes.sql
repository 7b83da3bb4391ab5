-- A job that killed its process three times while it was alone, or lost ten consumers, and was not given up, or that
-- counts more lone deaths than deaths.
-- Do: cancel it before it is claimed again.
select id::text from :recent_jobs
where solo_crashes > crash_count
   or (state in ('scheduled', 'queued', 'running')
       and (solo_crashes >= :solo_crash_limit or crash_count - solo_crashes >= :lost_limit))
