-- Find jobs by id, with all that is shown of them. A finished one is waited for until no failover can undo its end.
-- $1: ids.
select :job, null::bytea as input, :bounded_result, error
from jobs where id = any($1::uuid[]) and (finished_at is null or (select :replicated))
