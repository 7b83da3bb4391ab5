-- Find an API key and whose it is. Records, at most once a minute, that it is in use: not for a wrong secret, and not once it has ended.
-- $1: key id; $2: the HMAC of the secret that came with it.
with used as (
    update api_keys set last_used_at = now()
    where key_id = $1 and secret_hmac = $2 and :living_key
      and (last_used_at is null or last_used_at < now() - interval '1 minute')
)
select key_id, tenant, scopes, secret_hmac, :living_key as usable
from api_keys where key_id = $1
