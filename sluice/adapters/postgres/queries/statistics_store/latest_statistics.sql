-- Read the statistics of each lane that were stored last.
-- $1: seconds after which it is of no use any more.
select name, statistics::text from lanes
where statistics <> '{}' and updated_at > now() - $1::float8 * interval '1 second'
