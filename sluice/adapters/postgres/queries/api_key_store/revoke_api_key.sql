-- Revoke an API key: it is refused everywhere within a minute. Revoking twice keeps the first time.
-- $1: key id.
update api_keys set revoked_at = coalesce(revoked_at, now()) where key_id = $1 returning key_id
