-- A running job without owner or lease, which no keeper would ever rescue, or a claim on a job that is not running.
-- Do: by hand, set owner to any UUID and lease_until to now() if it runs, or both to null if it does not.
select id::text from jobs where state = 'running' and (owner is null or lease_until is null)
union all
select id::text from :recent_jobs where state <> 'running' and (owner is not null or lease_until is not null)
