-- Recover what runs in a lane under the name of this process: among it are the jobs of a poll whose reply was lost. They are
-- among the oldest of each priority: before them are only jobs that run.
-- $1: lane; $2: owner; $3: priorities; $4: more of each than run anywhere.
select :job, :input, null::bytea as result, null::bytea as error
from unnest($3::text[]) as each(priority)
cross join lateral (
    select * from jobs
    where lane = $1 and jobs.priority = each.priority and queued_at is not null and finished_at is null
    order by offered_until limit $4::int
) as jobs
where state = 'running' and owner = $2
