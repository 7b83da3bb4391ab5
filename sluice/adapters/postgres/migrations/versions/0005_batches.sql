-- Batches: which job each item came to, and the Idempotency-Key of the whole. No release before this one reads or writes the table.

alter table batches
    drop column total,                                    -- as many as there are items
    add column items        uuid[] not null default '{}', -- a job for each, in order; null: the item was refused
    add column key          text,                         -- apart from the keys of jobs
    add column request_hash bytea,
    add column expires_at   timestamptz not null default now() + interval '7 days';
create unique index batches_key on batches (tenant, key) where key is not null;
create index batches_expired on batches (expires_at);
insert into duties (name) values ('prune-batches');
