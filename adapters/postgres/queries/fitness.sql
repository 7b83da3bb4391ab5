-- Fitness: the settings on which a 202 rests, as this session has them, and where each of them comes from.
select name, setting, source from pg_settings
where name in ('fsync', 'full_page_writes', 'synchronous_commit', 'transaction_read_only', 'in_hot_standby',
               'server_version_num')
union all
select 'role', quote_ident(current_user), ''
union all
select 'database', quote_ident(current_database()), ''
