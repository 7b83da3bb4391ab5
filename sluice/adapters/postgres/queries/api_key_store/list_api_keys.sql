-- List every API key, newest first.
select key_id, tenant, scopes, created_at, expires_at, revoked_at, last_used_at
from api_keys order by created_at desc, key_id
