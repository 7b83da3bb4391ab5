-- Recover what runs in a lane under the name of this process: among it are the jobs of a poll whose reply was lost. They are
-- among the oldest of each priority that this process may run: before them are only jobs that run.
-- $1: lane; $2: owner; $3: kinds known here; $4: priorities; $5: the versions of the kinds; $6: more of each priority than run
-- anywhere.
select :job, :input, null::bytea as result, null::bytea as error
from unnest($4::text[]) as each(priority)
cross join lateral (
    select * from jobs
    where lane = $1 and jobs.priority = each.priority and queued_at is not null and finished_at is null
      and handler_version <= :version_here
    order by offered_until limit $6::int
) as jobs
where state = 'running' and owner = $2
