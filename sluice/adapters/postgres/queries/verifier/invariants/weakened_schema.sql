-- A constraint, trigger or index that guards the record is missing, switched off or not valid. What they forbid has no check of its own.
-- Do: run sluice migrate; create what is still missing by hand, as the first migration does: PostgreSQL names a row that it forbids.
with wanted(kind, name) as (values
    ('constraint', 'jobs_pkey'), ('constraint', 'jobs_state_check'), ('constraint', 'jobs_priority_check'),
    ('constraint', 'running_has_owner'), ('constraint', 'terminal_is_finished'), ('constraint', 'finished_expires'),
    ('constraint', 'scheduled_has_time'), ('constraint', 'waiting_was_queued'), ('constraint', 'success_has_result'),
    ('constraint', 'cancelled_was_asked_for'), ('constraint', 'ending_obeys_cancel'),
    ('constraint', 'idempotency_keys_pkey'), ('constraint', 'outbox_pkey'), ('constraint', 'attempts_pkey'),
    ('constraint', 'inputs_pkey'), ('constraint', 'consumers_pkey'),
    ('trigger', 'jobs_history'),
    ('index', 'jobs_due'), ('index', 'jobs_waiting'), ('index', 'jobs_open'), ('index', 'jobs_deadline'),
    ('index', 'jobs_flight'), ('index', 'jobs_results'), ('index', 'jobs_expired'), ('index', 'jobs_retry'),
    ('index', 'outbox_due')
), good(kind, name) as (
    select 'constraint', conname from pg_constraint
    where convalidated
      and conrelid in ('jobs'::regclass, 'idempotency_keys'::regclass, 'outbox'::regclass, 'attempts'::regclass,
                       'inputs'::regclass, 'consumers'::regclass)
    union all
    select 'trigger', tgname from pg_trigger where tgrelid = 'jobs'::regclass and tgenabled in ('O', 'A')
    union all
    select 'index', relname from pg_index join pg_class on pg_class.oid = indexrelid
    where indisvalid and indrelid in ('jobs'::regclass, 'outbox'::regclass)
)
select kind || ' ' || name from (select * from wanted except select * from good) as missing
