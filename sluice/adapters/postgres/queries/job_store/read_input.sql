-- Read the long input of a job.
-- $1: id.
select input from inputs where id = $1::uuid
