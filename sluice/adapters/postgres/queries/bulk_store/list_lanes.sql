-- List the lanes of jobs.
-- $1: ids.
select distinct lane from jobs where id = any($1::uuid[])
