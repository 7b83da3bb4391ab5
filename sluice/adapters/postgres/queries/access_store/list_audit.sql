-- List what was done for a tenant, newest first. In the form of the index of these, so that no other serves.
-- $1: tenant; $2: below this id; $3: the most to return.
select id, at, key_id, action, object, detail::text
from audit
where tenant >= '' and (tenant, id) < ($1, $2::bigint) and (tenant, id) >= ($1, 0)
order by tenant desc, id desc
limit $3::int
