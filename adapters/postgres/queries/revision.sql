-- Revision: how far the schema was migrated.
select max(version_num) from alembic_version
