-- Describe the record by its catalogue, without reading a table: releases, for how long a transaction has been open, sizes.
select current_setting('server_version') as release,
       (select max(version_num) from alembic_version) as revision,
       (select greatest(0, extract(epoch from clock_timestamp() - min(xact_start)))::float8 from pg_stat_activity
        where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()) as oldest_transaction_s,
       (select coalesce(json_agg(json_build_array(name, rows, size) order by size desc), '[]')::text
        from (select relname as name, greatest(reltuples, 0)::bigint as rows, pg_total_relation_size(oid) as size
              from pg_class where relkind = 'r' and relnamespace = current_schema()::regnamespace) as sizes) as tables
