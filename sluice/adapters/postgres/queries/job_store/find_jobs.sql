-- Look up: jobs by id, ready to be rendered.
-- $1: ids.
select :job, null::bytea as input, result, error from jobs where id = any($1::uuid[])
