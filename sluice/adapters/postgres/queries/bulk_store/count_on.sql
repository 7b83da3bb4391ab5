-- Count jobs that a bulk act would change. At the end of the dry run it waits for a `go`, to begin at the newest job again.
-- $1: the act; $2: its version; $3: below which id to go on (null: nowhere); $4: how many match above that.
with step as (select $1::uuid as act, $2::int as version), :act_gate
update bulk_acts
set version = version + 1, matched = matched + $4::bigint, below = coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'),
    state = case when $3::uuid is null then 'waiting' else state end, reason = case when $3::uuid is null then 'counted' end,
    next_at = case when $3::uuid is not null then next_at end, moved_at = now(), expires_at = now() + keep_s * interval '1 second'
where id = (select id from gate)
