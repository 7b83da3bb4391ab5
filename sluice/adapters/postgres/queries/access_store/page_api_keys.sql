-- List the API keys of a tenant, newest first.
-- $1: tenant; $2: the id of the key to begin after (empty: none); $3: the most to return.
select :listed_key
from api_keys
where tenant = $1
  and (created_at, key_id) < (coalesce((select last.created_at from api_keys as last where last.key_id = $2 and last.tenant = $1),
                                       'infinity'), $2::text)
order by created_at desc, key_id desc
limit $3::int
