-- Look at jobs by id, as lists show them: without their results. A finished one is waited for until no failover can undo its end.
-- $1: ids.
select :job, null::bytea as input, null::bytea as result, error
from jobs where id = any($1::uuid[]) and (finished_at is null or (select :replicated))
