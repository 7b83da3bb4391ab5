-- List the bulk acts of a tenant, newest first.
-- $1: tenant; $2: below this id; $3: the most to return.
select :bulk_act from bulk_acts where (tenant, id) < ($1, $2::uuid) and (tenant, id) >= ($1, '00000000-0000-0000-0000-000000000000')
order by tenant desc, id desc limit $3::int
