-- From the jobs of one row of `waiting`, the oldest first.
from jobs
where jobs.lane = waiting.lane and jobs.kind = waiting.kind and handler_version = waiting.version
  and jobs.priority = waiting.priority and queued_at is not null and finished_at is null
