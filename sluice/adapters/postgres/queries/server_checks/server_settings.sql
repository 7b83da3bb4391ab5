-- Read the settings on which a 202 rests, and the revision of the schema, all at once because every new connection waits for
-- it. If COMMIT now waits for the log to be on disk, $1 makes it do so for this session whatever is set later.
-- $1: whether to pin that.
with found as materialized (
    select current_setting('fsync') as fsync,
           current_setting('full_page_writes') as full_page_writes,
           current_setting('synchronous_commit') as synchronous_commit,
           current_setting('transaction_read_only')::bool as read_only,
           current_setting('server_version_num')::int as release,
           (select max(version_num) from alembic_version) as revision
)
select found.*, case when $1::bool and synchronous_commit not in ('off', 'local')
                     then set_config('synchronous_commit', 'on', false) end as made_safe
from found
