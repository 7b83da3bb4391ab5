-- Nothing read or wrote the table before this, so both columns are made at once. `id` names a definition: it changes
-- with every replacement, so that no keeper fires by a definition that is gone.
alter table schedules
    add column if not exists catch_up text not null default 'one' check (catch_up in ('one', 'none', 'all')),
    add column if not exists last_job_id uuid;
