-- Take the turn to verify: one keeper does so at a time; the lock ends with the transaction.
-- $1: lock.
select pg_try_advisory_xact_lock($1::bigint)
