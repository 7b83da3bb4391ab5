-- Revoke an API key: it is refused everywhere within a minute. Writes down who did it.
-- The good keys with the scope `admin` are locked in one order, so that of two that revoke each other at the same time one stays. Their ids
-- come as an array: in that order, the keys of all tenants may be walked through.
-- $1: tenant; $2: key id; $3: whether it may be the last of these; $4: whose key does it, and $5: in which request.
-- Returns nothing if it is not there, was revoked before, or is the last and may not be.
with admins as materialized (
    select key_id from api_keys
    where key_id = any(array(select key_id from api_keys where tenant = $1 and :living_key and 'admin' = any(scopes)))
      and :living_key
    order by key_id
    for update
), gone as (
    update api_keys set revoked_at = now()
    where key_id = $2 and tenant = $1 and revoked_at is null
      and ($3::bool or not exists (select from admins where key_id = $2) or exists (select from admins where key_id <> $2))
    returning key_id, tenant, name
), noted as (
    insert into audit (key_id, tenant, action, object, detail)
    select $4::text, tenant, 'key.revoke', 'key/' || key_id, jsonb_strip_nulls(jsonb_build_object('name', name, 'request_id', $5::text))
    from gone
)
select key_id from gone
