-- A job that killed its process three times while running alone, or lost ten consumers, and has not been failed, or whose
-- count of deaths while alone is higher than its count of all deaths.
-- Do: cancel it before it is claimed again.
select id::text from :recent_jobs
where solo_crashes > crash_count
   or (state in ('scheduled', 'queued', 'running')
       and (solo_crashes >= :solo_crash_limit or crash_count - solo_crashes >= :lost_limit))
