-- Find which of these endpoints are there.
-- $1: a tenant for each; $2: their ids.
select tenant, webhook_endpoints.id::text
from webhook_endpoints join unnest($1::text[], $2::uuid[]) as named(tenant, id) using (tenant, id)
