-- A running job without an owner, which no keeper would ever rescue, or a claim on a job that is not running.
-- Do: by hand, set owner to the id of a consumer whose lease is over if it runs, or to null if it does not.
select id::text from jobs where state = 'running' and finished_at is null and owner is null
union all
select id::text from :recent_jobs where state <> 'running' and owner is not null
