-- List the endpoints of a tenant, of which there are few, oldest first.
-- $1: tenant.
select :endpoint from webhook_endpoints where tenant = $1 order by created_at, webhook_endpoints.id
