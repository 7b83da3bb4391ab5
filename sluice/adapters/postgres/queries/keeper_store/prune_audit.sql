-- Delete what was written down long enough ago, the oldest first. Of so many rows at most the age is looked at: ids rise with time, so that
-- behind one that is kept there are none that need not be, or they go with it.
-- $1: seconds for which they are kept; $2: the most to delete.
with old as materialized (
    select id from (select id, at from audit order by id limit $2::int) as oldest
    where at < now() - $1::float8 * interval '1 second'
    order by id
)
delete from audit where id = any(array(select id from old)) returning 1
