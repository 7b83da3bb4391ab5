-- Put off the next step of a bulk act, for any keeper. Another reason is another version of what is shown.
-- $1: id; $2: seconds; $3: why, if the act is to say so.
update bulk_acts
set next_at = now() + $2::float8 * interval '1 second', taken_until = null, reason = $3::text,
    version = version + (reason is distinct from $3)::int
where id = $1::uuid and next_at is not null
