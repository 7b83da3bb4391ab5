-- Take the leases that are over, to rescue the jobs that run under them. Another keeper takes them again if that is not done
-- in time. A keeper whose own lease is over takes none: the clock may have leapt, and then all are over, of the living as well.
-- $1: seconds; $2: this keeper's own lease.
update consumers set rescue_until = clock_timestamp() + $1::float8 * interval '1 second'
where lease_until < clock_timestamp() and (rescue_until is null or rescue_until < clock_timestamp())
  and exists (select from consumers where id = $2 and lease_until > clock_timestamp())
returning id::text
