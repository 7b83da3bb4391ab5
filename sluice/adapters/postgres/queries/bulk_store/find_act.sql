-- Find a bulk act of a tenant.
-- $1: tenant; $2: id.
select :bulk_act from bulk_acts where id = $2::uuid and tenant = $1 and :replicated
