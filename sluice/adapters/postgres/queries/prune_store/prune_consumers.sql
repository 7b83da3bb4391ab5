-- Delete the rows of consumers that have been silent for long. They are there for people to read.
-- $1: seconds.
delete from consumers where seen_at < now() - $1::float8 * interval '1 second' returning 1
