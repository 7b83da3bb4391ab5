-- List the jobs of a batch in the order of its items, null for those that were refused.
-- $1: tenant; $2: id.
select items::text[] from batches where id = $2::uuid and tenant = $1 and :replicated
