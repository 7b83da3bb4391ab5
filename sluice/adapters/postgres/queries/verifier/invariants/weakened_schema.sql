-- A constraint, trigger or index that guards the record is missing, switched off or not valid.
-- Do: run sluice migrate; create what is still missing by hand, as the first migration does.
with wanted(kind, name) as (values
    ('constraint', 'jobs_pkey'), ('constraint', 'jobs_retry_of_key'),
    ('constraint', 'jobs_state_check'), ('constraint', 'jobs_priority_check'),
    ('constraint', 'running_has_lease'), ('constraint', 'running_has_owner'), ('constraint', 'terminal_is_finished'),
    ('constraint', 'scheduled_has_time'), ('constraint', 'queued_has_time'),
    ('constraint', 'idempotency_keys_pkey'), ('constraint', 'outbox_pkey'), ('constraint', 'attempts_pkey'),
    ('trigger', 'jobs_history'),
    ('index', 'jobs_due'), ('index', 'jobs_running'), ('index', 'jobs_queued'), ('index', 'jobs_flight'),
    ('index', 'jobs_results'), ('index', 'outbox_due')
), good(kind, name) as (
    select 'constraint', conname from pg_constraint
    where convalidated
      and conrelid in ('jobs'::regclass, 'idempotency_keys'::regclass, 'outbox'::regclass, 'attempts'::regclass)
    union all
    select 'trigger', tgname from pg_trigger where tgrelid = 'jobs'::regclass and tgenabled in ('O', 'A')
    union all
    select 'index', relname from pg_index join pg_class on pg_class.oid = indexrelid
    where indisvalid and indrelid in ('jobs'::regclass, 'outbox'::regclass)
)
select kind || ' ' || name from (select * from wanted except select * from good) as missing
