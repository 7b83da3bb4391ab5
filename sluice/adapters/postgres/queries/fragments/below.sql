-- The end of a look along an index for lists: the jobs of a tenant below an id, newest first. In the form that these indexes have, and with
-- what they say of themselves, so that no other index and no scan can serve.
tenant >= '' and (tenant, id) < ($1, $3::uuid) and (tenant, id) >= ($1, $4::uuid) order by tenant desc, id desc limit $11::int
