-- The record, whole. Forward only; every later migration must be safe while the previous release runs.

create table jobs (
    id                  uuid primary key,                 -- UUIDv7, made by the api
    tenant              text not null,
    kind                text not null,
    handler_version     integer not null default 1,       -- of its kind, where it was accepted: no older one runs it
    lane                text not null,
    priority            text not null check (priority in ('high', 'normal', 'low', 'overflow')),
    state               text not null check (state in ('scheduled', 'queued', 'running', 'succeeded', 'failed', 'cancelled')),
    version             integer not null default 1,       -- rises with every change that a client can see
    fence               integer not null default 0,       -- rises with every claim
    attempt             integer not null default 0,       -- tries that count
    max_attempts        integer not null,
    crash_count         integer not null default 0,       -- consumers that died with it in hand
    solo_crashes        integer not null default 0,       -- times it died alone in its process
    timeout_s           double precision,
    keep_s              double precision not null,        -- how long it is kept once it has finished
    deadline            timestamptz,
    run_at              timestamptz,
    queued_at           timestamptz,                      -- null while it is scheduled
    offers              integer not null default 1,       -- to consumers, since it was queued
    offered_until       timestamptz not null              -- its message counts as lost if one queued after this was claimed
                            default now() + interval '60 seconds',
    owner               uuid,                             -- the lease under which it runs: a row of consumers
    cancel_requested_at timestamptz,
    tags                text,                             -- joined by U+001F
    traceparent         text,
    fingerprint         bytea,                            -- pure kinds only
    flight              boolean not null default false,   -- identical unfinished work may answer instead
    progress            bytea,
    webhook             bytea,
    batch_id            uuid,
    retry_of            uuid,
    created_at          timestamptz not null default now(),
    started_at          timestamptz,
    finished_at         timestamptz,
    expires_at          timestamptz,
    error_fingerprint   text,
    -- raw JSON bytes: jsonb would reorder keys and refuse U+0000
    input               bytea,                            -- null: it is long, and in the table inputs
    result              bytea,
    error               bytea,
    constraint running_has_owner check ((state = 'running') = (owner is not null)),
    constraint terminal_is_finished check ((state in ('succeeded', 'failed', 'cancelled')) = (finished_at is not null)),
    constraint finished_expires check ((finished_at is null) = (expires_at is null)),
    constraint scheduled_has_time check (state <> 'scheduled' or (run_at is not null and queued_at is null)),
    constraint waiting_was_queued check (state not in ('queued', 'running') or queued_at is not null),
    constraint success_has_result check ((state = 'succeeded') = (result is not null)),
    constraint cancelled_was_asked_for check (state <> 'cancelled' or cancel_requested_at is not null),
    constraint ending_obeys_cancel check (state not in ('succeeded', 'failed') or cancel_requested_at is null)
) with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0,
        autovacuum_analyze_scale_factor = 0.0, autovacuum_analyze_threshold = 100000);

-- No index, and no predicate of one, has a column that a claim or progress changes: their updates stay in the page.
-- States are told apart by the columns that change with them only at the beginning and at the end.
-- Indexes for lists ask for a tenant >= '', as every one is, and the statements that list say so: while statistics have seen no such
-- job, an index in which all have to be read would look as cheap to other statements as their own.
create index jobs_due on jobs (run_at) where queued_at is null and finished_at is null;
create index jobs_waiting on jobs (lane, kind, handler_version, priority, offered_until) where queued_at is not null and finished_at is null;
create index jobs_open on jobs (tenant, id) where finished_at is null and tenant >= '';
create index jobs_deadline on jobs (deadline) where deadline is not null and finished_at is null;
create unique index jobs_flight on jobs (fingerprint) where flight and finished_at is null;
create index jobs_results on jobs (fingerprint, finished_at desc) where fingerprint is not null and result is not null;
create index jobs_succeeded on jobs (tenant, id) where result is not null and tenant >= '';
create index jobs_failed on jobs (tenant, id)
    where finished_at is not null and result is null and cancel_requested_at is null and tenant >= '';
create index jobs_cancelled on jobs (tenant, id)
    where finished_at is not null and cancel_requested_at is not null and tenant >= '';
create index jobs_expired on jobs (expires_at) where expires_at is not null;
create index jobs_batch on jobs (batch_id) where batch_id is not null;
create unique index jobs_retry on jobs (retry_of) where retry_of is not null;

-- The last line behind the fence: whatever a statement says, history stays as it is.
create function refuse_rewriting_history() returns trigger language plpgsql as $$
begin
    raise exception 'job % is % with fence %: it cannot become % with fence %',
        old.id, old.state, old.fence, new.state, new.fence using errcode = 'check_violation';
end $$;

create trigger jobs_history before update on jobs for each row
    when (old.state in ('succeeded', 'failed', 'cancelled')
          or new.fence < old.fence or new.version < old.version
          or (old.state in ('scheduled', 'queued') and new.state = 'succeeded')
          or (old.state = 'scheduled' and new.state = 'running')
          or (old.state = 'queued' and new.state = 'scheduled'))
    execute function refuse_rewriting_history();

-- Inputs that are too long to be copied with their job at every change.
create table inputs (
    id    uuid primary key,
    input bytea not null
);

-- One row per lease: a consumer process, for as long as it renews it. Running jobs name the lease they run under.
create table consumers (
    id           uuid primary key,
    host         text not null,
    pid          integer not null,
    release      text not null,
    lanes        text[] not null,
    kinds        text[] not null,
    versions     integer[] not null,                      -- of the kinds, in their order
    statistics   jsonb not null default '{}',
    started_at   timestamptz not null default now(),
    seen_at      timestamptz not null default now(),
    lease_until  timestamptz not null,
    rescue_until timestamptz                              -- a keeper is rescuing its jobs
) with (fillfactor = 50);

-- What keepers do: one row each, by which they take turns. Without work a row does not change.
create table duties (
    name    text primary key,
    done_at timestamptz not null default '-infinity'
) with (fillfactor = 50);
insert into duties (name) values ('publish'), ('queue-due'), ('fail-overdue'), ('fire-schedules'), ('rescue'), ('find-lost'),
    ('count'), ('prune-jobs'), ('prune-keys'), ('verify');

create table idempotency_keys (
    tenant       text not null,
    key          text not null,
    request_hash bytea not null,
    job_id       uuid not null,
    created_at   timestamptz not null default now(),
    primary key (tenant, key)
);
create index idempotency_keys_over on idempotency_keys (created_at) where job_id = '00000000-0000-0000-0000-000000000000';
create index idempotency_keys_job on idempotency_keys (job_id);

-- One row per RabbitMQ message; it goes when RabbitMQ has confirmed the message.
create table outbox (
    id       bigint generated always as identity primary key,
    lane     text not null,
    priority text not null,
    ids      uuid[] not null,
    due      timestamptz not null
) with (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
create index outbox_due on outbox (due);

-- One row per attempt that did not succeed; success is in the job.
create table attempts (
    job_id      uuid not null,
    fence       integer not null,
    attempt     integer not null,
    outcome     text not null,
    error       bytea,
    traceback   text,
    owner       uuid,
    started_at  timestamptz,
    finished_at timestamptz not null default now(),
    primary key (job_id, fence)
);

create table batches (
    id         uuid primary key,
    tenant     text not null,
    total      integer not null,
    webhook    bytea,
    created_at timestamptz not null default now()
);

-- `id` names a definition: it changes with every replacement, so that no keeper fires by a definition that is gone.
create table schedules (
    id          uuid primary key,
    tenant      text not null,
    name        text not null,
    cron        text not null,
    timezone    text not null default 'UTC',
    kind        text not null,
    input       bytea not null,
    options     jsonb not null default '{}',
    catch_up    text not null default 'one' check (catch_up in ('one', 'none', 'all')),
    paused      boolean not null default false,
    next_at     timestamptz not null,
    last_at     timestamptz,
    last_job_id uuid,
    created_at  timestamptz not null default now(),
    unique (tenant, name)
);
create index schedules_next on schedules (next_at) where not paused;

create table webhook_deliveries (
    id         uuid primary key,
    job_id     uuid not null,
    tenant     text not null,
    url        text not null,
    body       bytea not null,
    tries      integer not null default 0,
    due        timestamptz,
    done_at    timestamptz,
    last_error text,
    created_at timestamptz not null default now()
);
create index webhook_deliveries_due on webhook_deliveries (due) where done_at is null;

create table lanes (
    name      text primary key,
    paused_at timestamptz
);

create table api_keys (
    key_id       text primary key,
    tenant       text not null,
    scopes       text[] not null,
    secret_hmac  bytea not null,
    created_at   timestamptz not null default now(),
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz
);

create table audit (
    id     bigint generated always as identity primary key,
    at     timestamptz not null default now(),
    key_id text,
    tenant text,
    action text not null,
    object text not null,
    detail jsonb not null default '{}'
);

-- Some servers are built without lz4, and go on with the compression they have.
do $$
begin
    if exists (select from pg_settings where name = 'default_toast_compression' and 'lz4' = any(enumvals)) then
        alter table jobs alter column input set compression lz4, alter column result set compression lz4;
        alter table inputs alter column input set compression lz4;
    end if;
end $$;
