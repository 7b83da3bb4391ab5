-- Claim the oldest queued jobs of a lane without a hint, a priority as often as its weight in every round. A locked row is
-- skipped: another consumer is just taking it, or it will be there at the next poll. Overdue jobs whose turn it is fail. A
-- paused lane is not polled.
-- $1: lane; $2: owner; $3: kinds known here; $4: seconds for which the lease has to hold; $5: the versions of
-- the kinds; $6: the most jobs; $7..$9: priorities, their weights, and the turns each has had in this round.
with share as (
    select * from unnest($7::text[], $8::int[], $9::int[]) with ordinality as share(priority, weight, had, rank)
), candidate as materialized (
    select id, overdue, older, rank, place, (had + place - 1) / weight as round
    from share cross join lateral (
        select id, overdue, older, row_number() over (order by offered_until) as place
        from (
            select id, offered_until, coalesce(deadline <= now(), false) as overdue, handler_version < :version_here as older
            from jobs
            where lane = $1 and jobs.priority = share.priority and queued_at is not null and finished_at is null
              and state = 'queued' and handler_version <= :version_here
              and not exists (select from lanes where lanes.name = $1 and paused_at is not null)
            order by offered_until limit $6::int for update skip locked
        ) as oldest
    ) as placed
), wanted as materialized (
    select id, overdue, older from candidate order by round, rank, place limit $6::int
), overdue as (
    update jobs
    set :overdue
    from wanted
    where jobs.id = wanted.id and wanted.overdue
    returning :job, null::bytea as input, result, error
), claimed as (
    update jobs
    set state = 'running', version = version + 1, fence = fence + 1, attempt = attempt + 1, owner = :lease, started_at = now(),
        :only_its_own_result
    from wanted
    where jobs.id = wanted.id and not wanted.overdue
    returning :job, :input, null::bytea as result, null::bytea as error
)
select * from claimed union all select * from overdue
