-- Whether an API key is good. In the form of the index of these.
revoked_at is null and coalesce(expires_at, 'infinity') > now()
