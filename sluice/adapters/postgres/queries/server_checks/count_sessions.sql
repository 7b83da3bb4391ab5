-- Count the sessions on this server: one lease per consumer, those of apis, and those that are not ours; and how many there may be.
select count(*) filter (where application_name = 'sluice-lease')::int as consumers,
       count(*) filter (where application_name = 'sluice-api')::int as of_apis,
       count(*) filter (where coalesce(application_name, '') not like 'sluice-%')::int as others,
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
           - coalesce(current_setting('reserved_connections', true), '0')::int as most
from pg_stat_activity where backend_type = 'client backend'
