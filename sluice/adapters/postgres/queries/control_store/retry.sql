-- Try failed jobs again, each as a new job that names the failed one; at most one for each.
-- $1: tenant; $2: the failed jobs; $3: a new job for each; $4: seconds until the keeper publishes what the api did not;
-- $5: bytes of inputs after which the rest is left for another statement.
-- Returns one row per message, and one without id that lists the failed jobs that are left.
with gate as (select), :retried
select id as outbox_id, lane, priority, ids::text[] as ids, now() as at from sent
union all
select null, null, null, array_agg(failed_id::text), now() from placed where not placed.now having count(*) > 0
