-- Ping: the record answers; true where it also takes writes.
select not current_setting('transaction_read_only')::bool
