-- A job with a claim whose ending is not recorded, or with more endings than claims.
-- Do: report it, with the row and its attempts: each claim ends in the statement that writes its attempt.
select id::text
from :recent_jobs
cross join lateral (
    select count(*) as ended from attempts
    where job_id = jobs.id and attempts.fence between greatest(1, jobs.fence - 99) and jobs.fence
) as tries
where least(fence, 100) - ended not in (case when state in ('running', 'succeeded') then 1 else 0 end,
                            case when state in ('running', 'succeeded', 'cancelled') then 1 else 0 end)
