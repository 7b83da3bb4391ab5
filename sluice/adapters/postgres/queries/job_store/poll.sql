-- Claim the oldest queued jobs of a lane without a hint, a priority as often as its weight in every round. A locked row is
-- skipped: another consumer is just taking it, or it will be there at the next poll. Overdue jobs whose turn it is fail. A
-- paused lane is not polled. What this consumer may not run is not read, however much of it is older.
-- $1: the lane, alone; $2: owner; $3: kinds known here; $4: seconds for which the lease has to hold; $5: the versions of
-- the kinds; $6: the most jobs; $7..$9: priorities, their weights, and the turns each has had in this round.
with recursive asked(lane) as (select distinct unnest($1::text[])), :waiting, share as (
    select * from unnest($7::text[], $8::int[], $9::int[]) with ordinality as share(priority, weight, had, rank)
), looked_at as materialized (
    select lane, kind, version, priority, older, row_number() over (partition by priority order by offered_until) as place
    from :known cross join lateral (
        select offered_until :oldest and state = 'queued'
          and not exists (select from lanes where lanes.name = any($1::text[]) and paused_at is not null)
        order by offered_until limit $6::int
    ) as first
), due as (
    select lane, kind, version, priority, older, count(*) as jobs from looked_at
    where place <= $6::int group by lane, kind, version, priority, older
), candidate as materialized (
    select id, overdue, older, rank, place, (had + place - 1) / weight as round
    from (
        select id, overdue, older, priority, row_number() over (partition by priority order by offered_until) as place
        from due as waiting cross join lateral (
            select id, offered_until, coalesce(deadline <= now(), false) as overdue :oldest and state = 'queued'
            order by offered_until limit waiting.jobs for update skip locked
        ) as locked
    ) as placed join share using (priority)
), taken as materialized (
    select id, overdue, older from candidate order by round, rank, place limit $6::int
), late as (
    select id from taken where overdue
), wanted as (
    select id, older from taken where not overdue
), failed as (
    :overdue
), claimed as (
    :claimed
)
select * from claimed union all select * from failed
