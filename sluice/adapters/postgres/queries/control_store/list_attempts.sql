-- List every attempt of a job that did not succeed, in order.
-- $1: id.
select fence, attempt, outcome, started_at, finished_at, error, traceback
from attempts where job_id = $1::uuid order by fence
