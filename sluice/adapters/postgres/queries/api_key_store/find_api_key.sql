-- Find an API key and whose it is. Records, at most once a minute, that it is in use: not for a wrong secret, and not once it has ended.
-- Of two peppers, a hash by the other one is replaced; guarded by the old hash, as others look the key up at the same time. What is
-- returned is as it was before.
-- $1: key id; $2: the HMAC of the secret that came with it, by the pepper; $3: by the other one (null: there is none); $4: id of the pepper.
with used as (
    update api_keys set last_used_at = now(), secret_hmac = $2, pepper_id = $4
    where key_id = $1 and :living_key
      and (secret_hmac = $3
           or secret_hmac = $2
              and (last_used_at is null or last_used_at < now() - interval '1 minute' or pepper_id is distinct from $4))
)
select key_id, tenant, scopes, secret_hmac, :living_key as usable, extract(epoch from expires_at - now())::float8 as lasts_s
from api_keys where key_id = $1
