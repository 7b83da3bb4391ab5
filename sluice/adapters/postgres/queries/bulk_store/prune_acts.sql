-- Delete bulk acts that were kept for long enough since they ended, or since they waited for a `go` that did not come.
-- $1: the most to delete.
with old as materialized (
    select id from bulk_acts where expires_at < now() and next_at is null order by expires_at limit $1::int for update skip locked
)
delete from bulk_acts where id = any(array(select id from old)) returning 1
