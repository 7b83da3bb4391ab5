-- Store a new batch, before any of its jobs is accepted. Returns nothing if its key is taken.
-- $1: id; $2: tenant; $3: key; $4: request hash; $5: the jobs that its first items are to become, null for those that were refused;
-- $6: seconds for which it is kept at least.
insert into batches (id, tenant, key, request_hash, items, expires_at)
values ($1::uuid, $2, $3, $4, $5::uuid[], now() + $6::float8 * interval '1 second')
on conflict (tenant, key) where key is not null do nothing
returning true
