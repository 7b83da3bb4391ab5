-- Take bulk acts whose next step is due within a second, and that no other keeper is at. Taking only spares work: what a step may do, its
-- version decides.
-- $1: the keeper; $2: the most to take; $3: seconds after which another may take them.
with due as materialized (
    select id from bulk_acts
    where next_at <= now() + interval '1 second' and next_at is not null and (taken_by = $1::uuid or coalesce(taken_until, '-infinity') < now())
    order by next_at limit $2::int for update skip locked
)
update bulk_acts set taken_by = $1::uuid, taken_until = now() + $3::float8 * interval '1 second'
where id = any(array(select id from due))
returning :bulk_act
