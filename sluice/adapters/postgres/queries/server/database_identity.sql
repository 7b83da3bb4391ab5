-- Return which database this is, and which of its histories, so that caches of another one are never read.
select (select system_identifier from pg_control_system())::text || '.'
       || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) || '.'
       || (select oid from pg_database where datname = current_database())::text
