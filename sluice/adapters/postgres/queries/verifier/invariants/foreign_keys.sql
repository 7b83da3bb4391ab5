-- An idempotency key that points to a job of another tenant.
-- Do: delete the key at once: it shows one tenant the work of another. Report it.
select keys.tenant || ' ' || keys.key
from :recent_jobs join idempotency_keys as keys on keys.job_id = jobs.id and keys.tenant <> jobs.tenant
