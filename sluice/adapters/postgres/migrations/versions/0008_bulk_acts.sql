-- Bulk acts: what is to be done to all jobs that fit a filter, and how far it is. No release before this one knows the table.

create table bulk_acts (
    id           uuid primary key,                        -- UUIDv7, made by the api
    tenant       text not null,
    key          text,                                    -- the Idempotency-Key, apart from those of jobs
    request_hash bytea,
    act          text not null check (act in ('cancel', 'retry', 'delete')),
    filter       jsonb not null,
    canary       integer not null,                        -- jobs to begin with; 0: none
    rate         double precision not null,               -- jobs per second, at most
    most_failed  double precision not null,               -- part of the canary's new jobs that may fail
    canary_failed integer,                                -- of these have failed, when last seen
    state        text not null check (state in ('counting', 'waiting', 'canary', 'watching', 'running', 'finished', 'stopped', 'aborted')),
    reason       text,
    version      integer not null default 1,              -- rises with every step: who takes one names the version before it
    below        uuid,                                    -- the jobs still to be looked at have lower ids; null: there are none
    matched      bigint,                                  -- counted in the dry run; null: there was none
    changed      bigint not null default 0,
    canary_jobs  uuid[] not null default '{}',            -- of a retry: the new jobs of the canary
    key_id       text,                                    -- whose API key began it
    request_id   text,
    created_at   timestamptz not null default now(),
    moved_at     timestamptz not null default now(),
    finished_at  timestamptz,
    next_at      timestamptz,                             -- of the next step; null: none is taken by itself
    taken_until  timestamptz,                             -- a keeper is at it
    taken_by     uuid,
    keep_s       double precision not null,
    expires_at   timestamptz not null,
    constraint ended_is_finished check ((finished_at is not null) = (state in ('finished', 'stopped', 'aborted'))),
    constraint going_has_next check ((next_at is not null) = (state in ('counting', 'canary', 'watching', 'running')))
) with (fillfactor = 70);
create unique index bulk_acts_key on bulk_acts (tenant, key) where key is not null;
create index bulk_acts_tenant on bulk_acts (tenant, id);
create index bulk_acts_unfinished on bulk_acts (tenant) where finished_at is null;
create index bulk_acts_next on bulk_acts (next_at) where next_at is not null;
create index bulk_acts_expired on bulk_acts (expires_at) where next_at is null;
insert into duties (name) values ('bulk'), ('prune-bulk') on conflict do nothing;
