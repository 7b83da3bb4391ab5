-- Insert a new API key, of which only the HMAC of its secret is kept.
-- $1: key id, $2: tenant, $3: scopes, $4: HMAC, $5: days until it expires (null: never).
insert into api_keys (key_id, tenant, scopes, secret_hmac, expires_at)
values ($1, $2, $3, $4, now() + make_interval(days => $5))
