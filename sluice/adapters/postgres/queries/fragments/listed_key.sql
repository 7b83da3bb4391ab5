-- The columns of an API key, in the order of the fields of sluice.core.access.ListedKey.
key_id, tenant, name, scopes, created_at, expires_at, revoked_at, last_used_at, replaced_by, :living_key as usable, pepper_id
