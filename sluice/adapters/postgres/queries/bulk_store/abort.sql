-- Abort a bulk act, and write down who did it: what it has done by then stays done. Returns nothing if it has ended.
-- $1: tenant; $2: id; $3: whose key does it, and $4: in which request.
with gone as (
    update bulk_acts
    set version = version + 1, state = 'aborted', reason = null, moved_at = now(), finished_at = now(), next_at = null, taken_until = null,
        expires_at = now() + keep_s * interval '1 second'
    where id = $2::uuid and tenant = $1 and finished_at is null
    returning *
), noted as (
    insert into audit (key_id, tenant, action, object, detail)
    select $3::text, tenant, 'bulk.abort', 'bulk/' || id,
           jsonb_strip_nulls(jsonb_build_object('changed', changed, 'request_id', $4::text)) from gone
)
select :bulk_act from gone
