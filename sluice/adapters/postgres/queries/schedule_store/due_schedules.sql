-- List schedules whose next tick has come, and what time it is.
-- $1: the most to return; $2: ids of those that come after all others.
with due as (
    (select 1 as turn, * from schedules where not paused and next_at <= now() and id <> all($2::uuid[]) order by next_at limit $1::int)
    union all select 2, * from schedules where not paused and next_at <= now() and id = any($2::uuid[])
)
select id::text, name, cron, timezone, catch_up, next_at as due, now() as now, length(input) as input_bytes
from due order by turn, next_at limit $1::int
