-- Take the turn to verify: one keeper does at a time; the lock goes with the transaction.
-- $1: lock.
select pg_try_advisory_xact_lock($1::bigint)
