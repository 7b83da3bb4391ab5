-- Renew a lease, and store what its consumer knows of its own work. Nothing comes back once the lease is over: its jobs may
-- be another's, so it is never renewed.
-- $1: the lease; $2: seconds; $3: the report as JSON.
update consumers
set lease_until = clock_timestamp() + $2::float8 * interval '1 second', seen_at = now(), statistics = $3::jsonb
where id = $1 and lease_until > clock_timestamp()
returning true
