-- Find jobs by id, with all that is shown of them.
-- $1: ids.
select :job, null::bytea as input, :bounded_result, error from jobs where id = any($1::uuid[])
