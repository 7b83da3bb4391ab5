-- Pause a lane, and write down who did it. One that is paused has been so since then, and gets another reason.
-- $1: the lane; $2: the reason; $3: the tenant whose key does it, $4: the key, and $5: in which request.
with changed as (
    insert into lanes (name, paused_at, reason, paused_by) values ($1, now(), $2, $4)
    on conflict (name) do update
    set paused_at = coalesce(lanes.paused_at, excluded.paused_at), reason = excluded.reason, paused_by = excluded.paused_by
    returning name, paused_at as since, reason, paused_by as by
), noted as (
    insert into audit (key_id, tenant, action, object, detail)
    select by, $3::text, 'lane.pause', 'lane/' || name, jsonb_strip_nulls(jsonb_build_object('reason', reason, 'request_id', $5::text)) from changed
)
select since, reason, by from changed
