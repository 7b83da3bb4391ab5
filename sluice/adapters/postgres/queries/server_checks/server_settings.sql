-- Read the settings on which a 202 rests, the revision of the schema, and which database this is in which of its histories,
-- all at once because every new connection waits for it. If COMMIT now waits for the log to be on disk, $1 makes it do so
-- for this session whatever is set later.
-- $1: whether to pin that; $2, $3: names and values that this session was given, of which those are returned that it has lost.
with found as materialized (
    select current_setting('fsync') as fsync,
           current_setting('full_page_writes') as full_page_writes,
           current_setting('synchronous_commit') as synchronous_commit,
           current_setting('transaction_read_only')::bool as read_only,
           current_setting('server_version_num')::int as release,
           (select max(version_num) from alembic_version) as revision,
           case when not pg_is_in_recovery() then
               (select system_identifier from pg_control_system())::text || '.'
               || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) || '.'
               || (select oid from pg_database where datname = current_database())::text
           end as identity,
           array(select name from unnest($2::text[], $3::text[]) as given (name, value)
                 where current_setting(name) <> value) as lost,
           current_setting('synchronous_standby_names') = '' and exists (select from pg_stat_replication) as standby_may_lag
)
select found.*, case when $1::bool and synchronous_commit not in ('off', 'local')
                     then set_config('synchronous_commit', 'on', false) end as made_safe
from found
