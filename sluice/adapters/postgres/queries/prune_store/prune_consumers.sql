-- Delete the rows of consumers that have been silent for long. They are for people to look at.
-- $1: seconds.
delete from consumers where seen_at < now() - $1::float8 * interval '1 second' returning 1
