-- Forget endings that a listener has been told.
-- $1: the listener; $2: their numbers.
delete from endings where listener = $1::text and n = any($2::bigint[])
