-- Try failed jobs again as `retry` does, and write down who did it.
-- $1: tenant; $2: the failed jobs; $3: a new job for each; $4: seconds until the keeper publishes what the api did not;
-- $5: bytes of inputs after which the rest is left for another statement; $6: whose key does it; $7: about it, as JSON.
-- Returns one row per message, and one without id that lists the failed jobs that are left.
with gate as (select), :retried, noted as (
    insert into audit (key_id, tenant, action, object, detail)
    select $6::text, $1, 'jobs.retry', 'jobs', $7::jsonb || jsonb_build_object('changed', count(*)) from again having count(*) > 0
)
select id as outbox_id, lane, priority, ids::text[] as ids, now() as at from sent
union all
select null, null, null, array_agg(failed_id::text), now() from placed where not placed.now having count(*) > 0
