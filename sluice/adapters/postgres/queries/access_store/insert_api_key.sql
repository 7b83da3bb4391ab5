-- Insert a new API key, of which only the HMAC of its secret is kept, and write down who made it.
-- $1: key id, $2: tenant, $3: scopes, $4: HMAC, $5: name, $6: days until it expires (null: never); $7: the most good keys of a tenant;
-- $8: whose key makes it, and $9: in which request; $10: id of the pepper of the HMAC. Returns nothing if there are as many as there may be.
with made as (
    insert into api_keys (key_id, tenant, scopes, secret_hmac, name, expires_at, pepper_id)
    select $1::text, $2::text, $3::text[], $4::bytea, $5::text, now() + make_interval(days => $6::int), $10::text
    where (select count(*) from (select from api_keys where tenant = $2 and :living_key limit $7::int) as living) < $7::int
    returning :listed_key
), noted as (
    insert into audit (key_id, tenant, action, object, detail)
    select $8::text, tenant, 'key.create', 'key/' || key_id,
           jsonb_strip_nulls(jsonb_build_object('name', name, 'scopes', scopes, 'expires_at', expires_at, 'request_id', $9::text))
    from made
)
select * from made
