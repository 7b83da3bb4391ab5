-- A job that says it tries another again, which has not failed or is of another tenant.
-- Do: see who wrote to the table by hand; set retry_of to null.
select jobs.id::text
from :recent_jobs join jobs as first on first.id = jobs.retry_of
where first.state <> 'failed' or first.tenant <> jobs.tenant
