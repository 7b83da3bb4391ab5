-- Insert a schedule, or with $11 replace the one of this name, which stays paused if it was. At the same times it keeps a tick that is due,
-- or that may have been fired meanwhile, as the new one has come; else it has the new one: the rules of its zone may be others by now.
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
