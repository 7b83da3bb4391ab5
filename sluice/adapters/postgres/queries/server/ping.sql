-- Answer; true if writes are accepted as well.
select not current_setting('transaction_read_only')::bool
