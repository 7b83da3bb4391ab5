-- Pause a lane. One that is paused has been so since then, and gets another reason.
-- $1: the lane; $2: the reason; $3: the id of the key that asked for it.
insert into lanes (name, paused_at, reason, paused_by) values ($1, now(), $2, $3)
on conflict (name) do update
set paused_at = coalesce(lanes.paused_at, excluded.paused_at), reason = excluded.reason, paused_by = excluded.paused_by
returning paused_at as since, reason, paused_by as by
