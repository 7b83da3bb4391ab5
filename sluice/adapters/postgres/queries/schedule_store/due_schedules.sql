-- List schedules whose next tick has come, and what time it is.
-- $1: the most to return.
select id::text, name, cron, timezone, catch_up, next_at as due, now() as now, length(input) as input_bytes
from schedules where not paused and next_at <= now()
order by next_at limit $1::int
