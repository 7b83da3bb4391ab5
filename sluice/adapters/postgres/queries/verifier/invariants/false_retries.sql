-- A job marked as the retry of a job that has not failed or belongs to another tenant.
-- Do: see who wrote to the table by hand; set retry_of to null.
select jobs.id::text
from :recent_jobs join jobs as first on first.id = jobs.retry_of
where first.state <> 'failed' or first.tenant <> jobs.tenant
