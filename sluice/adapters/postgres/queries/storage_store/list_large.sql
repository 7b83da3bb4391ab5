-- List the tenants that keep most, with the bytes that they were found to keep.
-- $1: bytes from which on; $2: the most tenants.
select tenant, bytes from stored_bytes where bytes >= $1::bigint order by bytes desc limit $2::int
