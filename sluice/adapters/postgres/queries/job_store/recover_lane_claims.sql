-- Recover what runs in a lane under the name of this process: among it are the jobs of a poll whose reply was lost. They are
-- among the oldest of each kind and priority that this process may run: before them are only jobs that run.
-- $1: the lane, alone; $2: owner; $3: kinds known here; $4: more of each kind and priority than run anywhere; $5: the versions of
-- the kinds.
with recursive asked(lane) as (select distinct unnest($1::text[])), :waiting
select :job, :input, null::bytea as result, null::bytea as error
from :known cross join lateral (select * :oldest order by offered_until limit $4::int) as jobs
where state = 'running' and owner = $2 and (select :replicated)
