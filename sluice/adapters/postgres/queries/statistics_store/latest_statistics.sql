-- Latest statistics: what was kept last of each lane.
-- $1: seconds after which it is of no use any more.
select name, statistics::text from lanes
where statistics <> '{}' and updated_at > now() - $1::float8 * interval '1 second'
