-- Find an endpoint of a tenant.
-- $1: tenant; $2: id.
select :endpoint from webhook_endpoints where id = $2::uuid and tenant = $1
