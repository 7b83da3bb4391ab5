-- What the processes may do in the record, for two roles that own nothing: they make, change, truncate and drop no table, that of the
-- consumers sees no API key, that of the apis rewrites no audit, and neither writes the revision of the schema.
-- A superuser makes the roles; the role that migrates runs this after the first `sluice migrate`, and tables that later ones make
-- are covered as well. Running it again does no harm.
begin;
do $$ begin execute format('revoke temporary on database %I from public', current_database()); end $$;
revoke create on schema public from public;
grant usage on schema public to sluice_api, sluice_consumer;

grant select, insert, update, delete on all tables in schema public to sluice_api, sluice_consumer;
alter default privileges in schema public grant select, insert, update, delete on tables to sluice_api, sluice_consumer;

revoke insert, update, delete on alembic_version from sluice_api, sluice_consumer;
revoke all on api_keys from sluice_consumer;
revoke update, delete on audit from sluice_api;
revoke update on audit from sluice_consumer;
commit;
