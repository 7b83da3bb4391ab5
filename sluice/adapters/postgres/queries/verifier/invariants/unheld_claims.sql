-- A running job without owner or lease, which nobody would ever rescue, or a claim on a job that is not running.
-- Do: set owner to any UUID and lease_until to now() where it runs, both to null where it does not, by hand.
select id::text from jobs where state = 'running' and (owner is null or lease_until is null)
union all
select id::text from :recent_jobs where state <> 'running' and (owner is not null or lease_until is not null)
