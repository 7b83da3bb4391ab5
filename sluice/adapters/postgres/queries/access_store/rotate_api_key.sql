-- Put a new API key in the place of one that is good, and write down who did it. The old one ends soon, not at once: the reply with the
-- new one may be lost. The lifetime is the one that the first of them was made with: one that was replaced before ends earlier than that.
-- $1: tenant; $2: the old key; $3: the new one, $4: its HMAC; $5: seconds until the old one ends; $6: the scopes it may have at most;
-- $7: the most good keys of a tenant; $8: whose key does it, and $9: in which request; $10: id of the pepper of $4. Returns the new key, and when
-- the old one ends.
with old as materialized (
    select *, case when replaced_by is null then expires_at - created_at else lifetime end as span
    from api_keys
    where key_id = $2 and tenant = $1 and :living_key and scopes <@ $6::text[]
      and (select count(*) from (select from api_keys where tenant = $1 and :living_key limit $7::int) as living) < $7::int
    for update
), ending as (
    update api_keys
    set expires_at = least(expires_at, now() + $5::float8 * interval '1 second'), replaced_by = $3::text, lifetime = (select span from old)
    where key_id = $2 and exists (select from old)
    returning expires_at
), made as (
    insert into api_keys (key_id, tenant, scopes, secret_hmac, name, expires_at, pepper_id)
    select $3, tenant, scopes, $4::bytea, name, now() + span, $10::text from old
    returning :listed_key
), noted as (
    insert into audit (key_id, tenant, action, object, detail)
    select $8::text, tenant, 'key.rotate', 'key/' || $2,
           jsonb_strip_nulls(jsonb_build_object('replaced_by', made.key_id, 'ends_at', ending.expires_at, 'request_id', $9::text))
    from made, ending
)
select made.*, ending.expires_at as old_ends_at from made, ending
