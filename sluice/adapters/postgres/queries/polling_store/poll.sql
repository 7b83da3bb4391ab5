-- Claim the oldest queued jobs of a lane without a hint, a priority as often as its weight in every round. A locked row is
-- skipped: another consumer is just taking it, or it will be there at the next poll. Overdue jobs whose turn it is fail. A
-- paused lane is not polled.
-- $1: lane; $2: the most jobs; $3: owner; $4: kinds known here; $5: lease in seconds; $6..$8: priorities, their weights, and
-- the turns each has had in this round; $9: of each kind the fingerprint of a passed deadline.
with share as (
    select * from unnest($6::text[], $7::int[], $8::int[]) with ordinality as share(priority, weight, had, rank)
), candidate as materialized (
    select id, kind, overdue, rank, place, (had + place - 1) / weight as round
    from share cross join lateral (
        select id, kind, overdue, row_number() over (order by queued_at) as place
        from (
            select id, kind, queued_at, coalesce(deadline <= now(), false) as overdue from jobs
            where lane = $1 and jobs.priority = share.priority and state = 'queued' and kind = any($4::text[])
              and not exists (select from lanes where lanes.name = $1 and paused_at is not null)
            order by queued_at limit $2::int for update skip locked
        ) as oldest
    ) as placed
), wanted as materialized (
    select id, kind, overdue from candidate order by round, rank, place limit $2::int
), overdue as (
    update jobs
    set :overdue
    from wanted join unnest($4::text[], $9::text[]) as known(kind, print) using (kind)
    where jobs.id = wanted.id and wanted.overdue
    returning :job, null::bytea as input, result, error
), claimed as (
    update jobs
    set state = 'running', version = version + 1, fence = fence + 1, attempt = attempt + 1, owner = $3,
        lease_until = clock_timestamp() + $5::float8 * interval '1 second', started_at = now()
    from wanted
    where jobs.id = wanted.id and not wanted.overdue
    returning :job, input, null::bytea as result, null::bytea as error
)
select * from claimed union all select * from overdue
