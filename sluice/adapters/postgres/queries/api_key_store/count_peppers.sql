-- Count what hangs on each pepper, by its id: good API keys, and endpoints of webhooks one of whose secrets was made with it.
select pepper_id, count(key_id), max(last_used_at), count(endpoint)
from (
    select pepper_id, key_id, last_used_at, null::uuid as endpoint from api_keys where :living_key
    union all
    select pepper_id, null, null, id from webhook_endpoints
    union all
    select old_pepper_id, null, null, id from webhook_endpoints where old_until > now() and old_pepper_id is distinct from pepper_id
) as made
group by pepper_id order by pepper_id nulls last
