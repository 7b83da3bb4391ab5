-- Insert a schedule, or with $11 replace the one of this name. A schedule that is replaced stays paused if it was. If it fires at
-- the same times it keeps a tick that is due, or that would be lost; and if the new tick has come, it was perhaps fired meanwhile.
-- A tick to come is the new one: the clocks of its zone may change at other times than was known when the old one was reckoned.
-- $1..$10: the fields of NewSchedule; $11: whether it may replace. Returns nothing if the name is taken.
insert into schedules as kept (id, tenant, name, cron, timezone, kind, input, options, catch_up, next_at)
values ($1::uuid, $2, $3, $4, $5, $6, $7, $8::jsonb, $9, $10)
on conflict (tenant, name) do update
set id = excluded.id, cron = excluded.cron, timezone = excluded.timezone, kind = excluded.kind, input = excluded.input,
    options = excluded.options, catch_up = excluded.catch_up,
    next_at = case when (kept.cron, kept.timezone) = (excluded.cron, excluded.timezone)
                        and least(kept.next_at, excluded.next_at) <= clock_timestamp() then kept.next_at
                   else excluded.next_at end
where $11::bool
returning :schedule
