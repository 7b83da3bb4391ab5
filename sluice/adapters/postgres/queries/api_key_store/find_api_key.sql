-- Find an API key and whose it is. Records, at most once a minute, that it is in use.
-- $1: key id.
with used as (
    update api_keys set last_used_at = now()
    where key_id = $1 and (last_used_at is null or last_used_at < now() - interval '1 minute')
)
select key_id, tenant, scopes, secret_hmac,
       revoked_at is null and (expires_at is null or expires_at > now()) as usable
from api_keys where key_id = $1
