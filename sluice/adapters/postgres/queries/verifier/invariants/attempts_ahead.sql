-- An attempt with a higher fence than its job has: the job was set back, perhaps by a partial restore.
-- Do: set the job's fence to that of the attempt, so that no older run can write.
select attempts.job_id::text || ' ' || attempts.fence
from :recent_jobs join attempts on attempts.job_id = jobs.id and attempts.fence > jobs.fence
