-- A constraint, trigger or index that guards the record is missing, switched off or not valid. What they forbid has no check of its own.
-- Do: run sluice migrate; create what is still missing by hand, as the first migration does: PostgreSQL names a row that it forbids.
with wanted(name) as (
    select unnest('{jobs_pkey, jobs_state_check, jobs_priority_check, running_has_owner, terminal_is_finished, finished_expires,
                    scheduled_has_time, waiting_was_queued, success_has_result, cancelled_was_asked_for, ending_obeys_cancel, jobs_history, jobs_endings,
                    idempotency_keys_pkey, outbox_pkey, attempts_pkey, logs_pkey, inputs_pkey, consumers_pkey, jobs_due, jobs_waiting, jobs_open,
                    jobs_deadline, jobs_flight, jobs_results, jobs_expired, jobs_retry, outbox_due, endings_pkey, webhook_endpoints_pkey,
                    webhook_deliveries_pkey, webhook_deliveries_due, webhook_deliveries_pending, bulk_acts_pkey, ended_is_finished, going_has_next,
                    bulk_acts_key, bulk_acts_next}'::text[])
), good(name) as (
    select conname from pg_constraint
    where convalidated
      and conrelid = any('{jobs, idempotency_keys, outbox, attempts, logs, inputs, consumers, endings, webhook_endpoints, webhook_deliveries,
                           bulk_acts}'::regclass[])
    union all
    select tgname from pg_trigger where tgrelid = 'jobs'::regclass and tgenabled in ('O', 'A')
    union all
    select relname from pg_index join pg_class on pg_class.oid = indexrelid
    where indisvalid and indrelid = any('{jobs, outbox, webhook_deliveries, bulk_acts}'::regclass[])
)
select name from wanted except select name from good
