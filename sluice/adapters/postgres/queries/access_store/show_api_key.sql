-- Find an API key of a tenant, good or not.
-- $1: tenant; $2: key id.
select :listed_key from api_keys where key_id = $2 and tenant = $1
