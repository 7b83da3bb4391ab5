-- Who hears of the endings of jobs, what they have not been told yet, and webhooks. The previous release goes on as before: it uses none of
-- these tables, and the endings that it writes are kept for those who want to hear of them as well.

-- Who hears of every ending of every tenant. Webhooks have no row here: they hear of those of their tenants.
create table listeners (name text primary key);

create table webhook_endpoints (
    id            uuid primary key,
    tenant        text not null,
    url           text not null,
    events        text[] not null,
    kinds         text[] not null default '{}',           -- empty: all
    tags          text[] not null default '{}',           -- one of these; empty: whatever tags a job has
    generation    integer not null default 1,             -- of its secret, which is in no table: it is made of this, the id and the pepper
    old_until     timestamptz,                            -- until then the generation before signs as well
    failing_since timestamptz,                            -- nothing has arrived since
    failures      integer not null default 0,             -- tries that failed in a row
    rests_until   timestamptz,                            -- nothing is tried before
    disabled_at   timestamptz,
    disabled_why  text,
    created_at    timestamptz not null default now()
);
create index webhook_endpoints_tenant on webhook_endpoints (tenant, created_at, id);
create index webhook_endpoints_hear on webhook_endpoints (tenant) where disabled_at is null;

-- Endings that a listener has not been told yet, with all that may be told: the job may be gone before.
create table endings (
    listener            text not null,                    -- `webhooks`, or a row of listeners
    n                   bigint generated always as identity,
    id                  uuid not null,
    tenant              text not null,
    kind                text not null,
    lane                text not null,
    priority            text not null,
    state               text not null,
    version             integer not null,
    fence               integer not null,
    attempt             integer not null,
    max_attempts        integer not null,
    crash_count         integer not null,
    solo_crashes        integer not null,
    timeout_s           double precision,
    deadline            timestamptz,
    run_at              timestamptz,
    queued_at           timestamptz,
    tags                text,
    traceparent         text,
    retry_of            uuid,
    fingerprint         bytea,
    cancel_requested_at timestamptz,
    progress            bytea,
    created_at          timestamptz not null,
    started_at          timestamptz,
    finished_at         timestamptz not null,
    error               bytea,
    webhook             bytea,
    primary key (listener, n)
) with (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

-- Whatever statement ends a job, its ending is kept for whoever hears of it. Nothing leaves a terminal state, so that a row with the time
-- of its end has just ended. While nobody listens, a statement costs the two looks at tables that are empty.
create function keep_endings() returns trigger language plpgsql as $$
begin
    if exists (select from listeners) or exists (select from webhook_endpoints where disabled_at is null) then
        insert into endings (listener, id, tenant, kind, lane, priority, state, version, fence, attempt, max_attempts, crash_count,
                             solo_crashes, timeout_s, deadline, run_at, queued_at, tags, traceparent, retry_of, fingerprint,
                             cancel_requested_at, created_at, started_at, finished_at, error, webhook)
        select hears.name, id, tenant, kind, lane, priority, state, version, fence, attempt, max_attempts, crash_count,
               solo_crashes, timeout_s, deadline, run_at, queued_at, tags, traceparent, retry_of, fingerprint,
               cancel_requested_at, created_at, started_at, finished_at, error, webhook
        from changed cross join lateral (
            select name from listeners
            union all
            select 'webhooks' where exists (select from webhook_endpoints
                                            where webhook_endpoints.tenant = changed.tenant and disabled_at is null)
        ) as hears
        where finished_at is not null;
    end if;
    return null;
end $$;
create trigger jobs_endings after update on jobs referencing new table as changed for each statement execute function keep_endings();

-- What is to be sent to an endpoint, and what came of it. No release before this one reads or writes the table.
alter table webhook_deliveries
    drop column url,
    drop column last_error,
    alter column job_id drop not null,                    -- null: a test
    add column endpoint    uuid not null,
    add column event       text not null,
    add column taken_until timestamptz,                   -- a process is sending it
    add column tried_at    timestamptz,
    add column failed      boolean,                       -- it was given up, once it is done
    add column status      integer,                       -- of the last answer; null: there was none
    add column outcome     text,                          -- of the last try, in words
    add column answer      bytea;                         -- how the last answer began
drop index webhook_deliveries_due;
create index webhook_deliveries_due on webhook_deliveries (due) where due is not null;
create index webhook_deliveries_pending on webhook_deliveries (endpoint, due) where due is not null;
create index webhook_deliveries_endpoint on webhook_deliveries (endpoint, created_at, id);
create index webhook_deliveries_old on webhook_deliveries (created_at) where done_at is not null;

insert into duties (name) values ('tell-webhooks'), ('send-webhooks'), ('prune-webhooks') on conflict do nothing;
