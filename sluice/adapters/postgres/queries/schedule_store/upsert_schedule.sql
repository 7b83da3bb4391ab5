-- Insert a schedule, or with $11 replace the one of this name, which stays paused if it was. At the same times it keeps a tick that is due,
-- or that may have been fired meanwhile, as the new one has come; else it has the new one: the rules of its zone may be others by now.
-- Writes down who did it; a row that no other was in the place of has never been locked.
-- $1..$10: the fields of NewSchedule; $11: whether it may replace; $12: whose key does it, and $13: in which request.
-- Returns nothing if the name is taken.
with changed as (
    insert into schedules as kept (id, tenant, name, cron, timezone, kind, input, options, catch_up, next_at)
    values ($1::uuid, $2, $3, $4, $5, $6, $7, $8::jsonb, $9, $10)
    on conflict (tenant, name) do update
    set id = excluded.id, cron = excluded.cron, timezone = excluded.timezone, kind = excluded.kind, input = excluded.input,
        options = excluded.options, catch_up = excluded.catch_up,
        next_at = case when (kept.cron, kept.timezone) = (excluded.cron, excluded.timezone)
                            and least(kept.next_at, excluded.next_at) <= clock_timestamp() then kept.next_at
                       else excluded.next_at end
    where $11::bool
    returning *, xmax = 0 as is_new
), noted as (
    insert into audit (key_id, tenant, action, object, detail)
    select $12::text, tenant, case when is_new then 'schedule.create' else 'schedule.replace' end, 'schedule/' || name,
           jsonb_strip_nulls(jsonb_build_object('kind', kind, 'cron', cron, 'timezone', timezone, 'request_id', $13::text))
    from changed
)
select :schedule from changed
