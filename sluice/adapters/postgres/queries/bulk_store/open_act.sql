-- Store a new bulk act, and write down who began it. Returns nothing if its key is taken, or if the tenant has as many unfinished ones as it may.
-- $1: id; $2: tenant; $3: act; $4: filter; $5: jobs of the canary; $6: jobs per second; $7: part of the canary that may fail; $8: whether
-- to count first; $9: seconds for which it is kept; $10: key; $11: request hash; $12: the most that are unfinished; $13: whose key
-- begins it, and $14: in which request.
with made as (
    insert into bulk_acts (id, tenant, act, filter, canary, rate, most_failed, state, below, matched, keep_s, key, request_hash,
                           key_id, request_id, next_at, expires_at)
    select $1::uuid, $2::text, $3::text, $4::jsonb, $5::int, $6::float8, $7::float8,
           case when $8::bool then 'counting' when $5::int > 0 then 'canary' else 'running' end, 'ffffffff-ffff-ffff-ffff-ffffffffffff',
           case when $8::bool then 0 end, $9::float8, $10::text, $11::bytea, $13::text, $14::text,
           now(), now() + $9::float8 * interval '1 second'
    where (select count(*) from (select from bulk_acts where tenant = $2 and finished_at is null limit $12::int) as open) < $12::int
    on conflict (tenant, key) where key is not null do nothing
    returning *
), noted as (
    insert into audit (key_id, tenant, action, object, detail)
    select key_id, tenant, 'bulk.start', 'bulk/' || id,
           jsonb_strip_nulls(jsonb_build_object('act', act, 'filter', filter, 'state', state, 'request_id', request_id))
    from made
)
select :bulk_act from made
