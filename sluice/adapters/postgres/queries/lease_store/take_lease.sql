-- Take a new lease, under which jobs can be claimed.
-- $1: its id; $2: host; $3: pid; $4: release; $5: lanes; $6: kinds; $7: their versions; $8: seconds.
insert into consumers (id, host, pid, release, lanes, kinds, versions, lease_until)
values ($1, $2, $3, $4, $5, $6, $7, clock_timestamp() + $8::float8 * interval '1 second')
