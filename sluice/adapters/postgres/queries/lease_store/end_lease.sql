-- End a lease, once no claim under it can be under way: whatever still runs under it is then rescued.
-- $1: the lease; $2: seconds.
update consumers set lease_until = least(lease_until, clock_timestamp() + $2::float8 * interval '1 second') where id = $1
