-- The end of a look along an index for lists: the jobs of a tenant below an id, newest first. In the order that these indexes have, and with
-- what they say of themselves, so that no other index and no scan can serve: a tenant among one does not count as fixed in an order.
-- Not as a comparison of rows: a scan would stop at none but the end of the tenant.
tenant >= '' and tenant = any(array[$1]) and id < $3::uuid and id >= $4::uuid order by tenant desc, id desc limit $11::int
