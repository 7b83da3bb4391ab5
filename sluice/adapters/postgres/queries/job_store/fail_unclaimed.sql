-- Fail jobs that could not be claimed because their deadline has passed, unless another statement was quicker.
-- $1: ids; $2: kinds, and $3: the fingerprint of this error for each.
with seen as materialized (
    select id, kind from jobs
    where id = any($1::uuid[]) and state = 'queued' and deadline <= now()
    order by id
    for update
), overdue as (
    select id, print from seen join unnest($2::text[], $3::text[]) as known(kind, print) using (kind)
)
update jobs
set :overdue
from overdue
where jobs.id = overdue.id
returning :job, null::bytea as input, result, error
