-- Read the statistics of each lane that were stored last.
-- $1: seconds after which they are too old to use.
select name, statistics::text from lanes
where statistics <> '{}' and updated_at > now() - $1::float8 * interval '1 second'
