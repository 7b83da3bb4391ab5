-- Take the leases that are over, to rescue the jobs that run under them. Another keeper takes them again if that is not done
-- in time.
-- $1: seconds.
update consumers set rescue_until = clock_timestamp() + $1::float8 * interval '1 second'
where lease_until < clock_timestamp() and (rescue_until is null or rescue_until < clock_timestamp())
returning id::text
