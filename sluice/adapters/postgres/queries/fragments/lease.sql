-- The lease $2, if it holds until long after this statement: a keeper that finds it over has to see every claim under it.
-- $4: seconds. Without a lease the claim breaks the constraint running_has_owner.
(select id from consumers where id = $2 and lease_until > clock_timestamp() + $4::float8 * interval '1 second')
