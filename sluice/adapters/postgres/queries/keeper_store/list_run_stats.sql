-- List the reports of consumers that were seen lately.
-- $1: seconds.
select statistics::text from consumers
where seen_at > now() - $1::float8 * interval '1 second' and statistics <> '{}' order by id
