-- Delete deliveries that are done and were made long enough ago, the oldest first. What is older and still to be sent is passed over.
-- $1: seconds for which they are kept; $2: the most.
with old as materialized (
    select id from webhook_deliveries
    where created_at < now() - $1::float8 * interval '1 second' and done_at is not null
    order by created_at limit $2::int
    for update skip locked
)
delete from webhook_deliveries where id = any(array(select id from old)) returning 1
