-- Look which duties have something to do, and take the turn of those that nobody has done in their time. Nothing is written
-- while there is nothing to do. A turn in the future is none: the clock has gone back, perhaps with a failover. Each look is for
-- the first in an order, so that no index may serve in which all has to be read.
-- $1: names of duties, and $2: the seconds from one turn to the next; $3: seconds for which idempotency keys are kept.
-- Lost messages are looked for unless there is a backlog: what became due a moment ago, as retries do all the time, is none.
-- Returns the duties that are this keeper's turn, and how many consumers there are.
with waiting as materialized (
    select lane from jobs where queued_at is not null and finished_at is null order by lane, kind, handler_version, priority, offered_until limit 1
), wanted as (
    select name, rest from (values
        ('publish', 1, exists (select from outbox where due <= now() order by due limit 1)),
        ('queue-due', 1, (select id from jobs where run_at <= now() and queued_at is null and finished_at is null
                          order by run_at limit 1) is not null),
        ('fail-overdue', 1, (select id from jobs where deadline <= now() and deadline is not null
                               and finished_at is null and state <> 'running'
                             order by deadline limit 1) is not null),
        ('fire-schedules', 1, exists (select from schedules where next_at <= now() and not paused)),
        ('rescue', 1, exists (select from consumers where lease_until < clock_timestamp()
                                                      and coalesce(rescue_until, '-infinity') < clock_timestamp())),
        ('find-lost', 1, exists (select from waiting) and not exists (select from outbox where due <= now() - interval '5 seconds')),
        ('count', case when exists (select from waiting) then 1 else 60 end, true),
        ('prune-jobs', 1, (select id from jobs where expires_at < now() order by expires_at limit 1) is not null),
        ('prune-keys', 1, (select key from idempotency_keys
                           where job_id = '00000000-0000-0000-0000-000000000000'
                             and created_at < now() - $3::float8 * interval '1 second'
                           order by created_at limit 1) is not null),
        ('prune-batches', 1, exists (select from batches where expires_at < now() order by expires_at limit 1)),
        ('prune-audit', 1, (select id from audit order by id limit 1) is not null),
        ('bulk', 1, exists (select from bulk_acts where next_at <= now() + interval '1 second' and next_at is not null
                                                      and coalesce(taken_until, '-infinity') < now() order by next_at limit 1)),
        ('prune-bulk', 1, exists (select from bulk_acts where expires_at < now() and next_at is null order by expires_at limit 1)),
        ('tell-webhooks', 1, exists (select from endings where listener = 'webhooks' order by n limit 1)),
        ('send-webhooks', 1, exists (select from webhook_deliveries where due <= now() and due is not null order by due limit 1)),
        ('prune-webhooks', 1, (select id from webhook_deliveries
                               where created_at < now() - interval '7 days' and done_at is not null
                               order by created_at limit 1) is not null),
        ('tell-events', 1, exists (select from endings where listener = 'events' order by n limit 1)
                           or not exists (select from listeners where name = 'events')),
        ('forget-events', 1, (select finished_at from endings where listener = 'events' order by n limit 1)
                             < now() - interval '1 hour'),
        ('verify', 1, true)
    ) as duty(name, rest, is_wanted)
    where is_wanted
), mine as (
    update duties set done_at = clock_timestamp()
    from wanted join unnest($1::text[], $2::float8[]) as rate(name, every_s) using (name)
    where duties.name = wanted.name
      and (done_at < clock_timestamp() - rest * every_s * interval '1 second' or done_at > clock_timestamp())
    returning duties.name
)
select array(select name from mine) as duties,
       (select count(*)::int from consumers where lease_until > clock_timestamp()) as consumers
