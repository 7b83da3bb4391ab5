-- Answer; true where writes are taken as well.
select not current_setting('transaction_read_only')::bool
