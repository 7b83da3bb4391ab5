-- Add up the bytes of inputs and results that tenants keep, a part at a time, if it is anybody's turn: what came since the last turn is
-- added to what is known, and a walk through all jobs finds it anew, as results come later, and jobs go.
-- Jobs of the last two seconds are left for later: their commits come in another order than their ids.
-- $1: the most jobs to look at in each of these two ways; $2: seconds from one turn to the next; $3: seconds from one walk to the next.
-- Returns whether a walk has ended; nothing if it was nobody's turn.
with turn as materialized (
    select newest, walked, ends_at < clock_timestamp() - $3::float8 * interval '1 second' or ends_at > clock_timestamp() as walks,
           (lpad(to_hex(floor(extract(epoch from clock_timestamp()) * 1000)::bigint - 2000), 12, '0') || repeat('0', 20))::uuid as until
    from stored_walk
    where done_at < clock_timestamp() - $2::float8 * interval '1 second' or done_at > clock_timestamp() for update
), come as materialized (
    select first.* from turn cross join lateral (
        select id, tenant, :kept as size from jobs where id > newest and id < until order by id limit $1::int
    ) as first
), seen as materialized (
    select first.* from turn cross join lateral (
        select id, tenant, :kept as size from jobs where id > walked and id <= newest order by id limit $1::int
    ) as first
    where walks
), state as materialized (
    select walks and (select count(*) from seen) < $1::int as ended from turn
), found as (
    select tenant, sum(came)::bigint as came, sum(seen)::bigint as seen
    from (select tenant, size as came, 0 as seen from come
          union all select tenant, 0, size from seen
          union all select tenant, 0, 0 from stored_bytes where (select ended from state)) as each
    group by tenant
), added as (
    insert into stored_bytes as known (tenant, bytes, walked)
    select tenant, case when ended then came + seen else came end, case when ended then 0 else seen end
    from found cross join state order by tenant
    on conflict (tenant) do update
    set bytes = case when (select ended from state) then known.walked else known.bytes end + excluded.bytes,
        walked = case when (select ended from state) then 0 else known.walked + excluded.walked end
)
update stored_walk
set newest = coalesce((select id from come order by id desc limit 1), newest),
    walked = case when ended then '00000000-0000-0000-0000-000000000000'
                  else coalesce((select id from seen order by id desc limit 1), walked) end,
    ends_at = case when ended then clock_timestamp() else ends_at end,
    done_at = clock_timestamp()
from state
returning ended
