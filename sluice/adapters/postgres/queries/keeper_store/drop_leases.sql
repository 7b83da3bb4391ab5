-- Drop leases under which no job runs any more.
-- $1: their ids.
delete from consumers where id = any($1::uuid[]) and lease_until < clock_timestamp()
