-- Keys that tenants manage themselves, and what was done with them. The previous release goes on as before: it names the columns that it writes, and the tables are
-- small, so that indexes are made in a moment.

alter table api_keys
    add column name        text,
    add column replaced_by text,                          -- the key that was put in its place
    add column lifetime    interval;                      -- once it was replaced: what the first of them was made with
create index api_keys_tenant on api_keys (tenant, created_at, key_id);
create index api_keys_living on api_keys (tenant, coalesce(expires_at, 'infinity')) where revoked_at is null;

create index audit_tenant on audit (tenant, id) where tenant >= '';
insert into duties (name) values ('prune-audit') on conflict do nothing;

-- What keys could see before there was a scope for it.
update api_keys set scopes = scopes || '{payloads}' where not 'payloads' = any(scopes);
