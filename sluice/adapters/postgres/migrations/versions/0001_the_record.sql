-- The record, whole. Forward only; every later migration must be safe while the previous release runs.

create table jobs (
    id                  uuid primary key,                 -- UUIDv7, made by the api
    tenant              text not null,
    kind                text not null,
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
    deadline            timestamptz,
    run_at              timestamptz,
    queued_at           timestamptz,
    owner               uuid,                             -- one per consumer process
    lease_until         timestamptz,
    cancel_requested_at timestamptz,
    tags                text,                             -- joined by U+001F
    traceparent         text,
    fingerprint         bytea,                            -- pure kinds only
    flight              boolean not null default false,   -- identical unfinished work may answer instead
    progress            bytea,
    webhook             bytea,
    batch_id            uuid,
    retry_of            uuid unique,
    created_at          timestamptz not null default now(),
    started_at          timestamptz,
    finished_at         timestamptz,
    -- raw JSON bytes: jsonb would reorder keys and refuse U+0000
    input               bytea not null,
    result              bytea,
    error               bytea,
    constraint running_has_lease check ((state = 'running') = (lease_until is not null)),
    constraint running_has_owner check ((state = 'running') = (owner is not null)),
    constraint terminal_is_finished check ((state in ('succeeded', 'failed', 'cancelled')) = (finished_at is not null)),
    constraint scheduled_has_time check (state <> 'scheduled' or run_at is not null),
    constraint queued_has_time check (state <> 'queued' or queued_at is not null)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05,
        autovacuum_vacuum_cost_delay = 0);

-- Only columns that heartbeats do not touch are indexed, so that their updates stay in the page.
create index jobs_due on jobs (run_at) where state = 'scheduled';
create index jobs_running on jobs (id) where state = 'running';
create index jobs_queued on jobs (lane, priority, queued_at) where state = 'queued';
create unique index jobs_flight on jobs (fingerprint) where flight and state in ('scheduled', 'queued', 'running');
create index jobs_results on jobs (fingerprint, finished_at desc) where fingerprint is not null and state = 'succeeded';
create index jobs_batch on jobs (batch_id) where batch_id is not null;

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

create table idempotency_keys (
    tenant       text not null,
    key          text not null,
    request_hash bytea not null,
    job_id       uuid not null,
    created_at   timestamptz not null default now(),
    primary key (tenant, key)
);
create index idempotency_keys_age on idempotency_keys (created_at);

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

create table schedules (
    id         uuid primary key,
    tenant     text not null,
    name       text not null,
    cron       text not null,
    timezone   text not null default 'UTC',
    kind       text not null,
    input      bytea not null,
    options    jsonb not null default '{}',
    paused     boolean not null default false,
    next_at    timestamptz not null,
    last_at    timestamptz,
    created_at timestamptz not null default now(),
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
    name       text primary key,
    paused_at  timestamptz,
    statistics jsonb not null default '{}',
    updated_at timestamptz not null default now()
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

-- For people to look at, never for deciding who is alive.
create table consumers (
    id         uuid primary key,
    host       text not null,
    pid        integer not null,
    release    text not null,
    lanes      text[] not null,
    started_at timestamptz not null default now(),
    seen_at    timestamptz not null default now()
);
