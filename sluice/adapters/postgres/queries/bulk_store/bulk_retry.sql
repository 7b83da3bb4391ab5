-- Try a batch of the failed jobs of a bulk act again, and move the act on: behind the last job for which there was room.
-- $1: tenant; $2: the failed jobs; $3: a new job for each; $4: seconds until the keeper publishes what nobody did before;
-- $5: bytes of inputs after which the rest is left for the next step; $6: the act; $7: its version; $8: below which id to go on (null: nowhere).
with step as (select $6::uuid as act, $7::int as version), :act_gate, :retried, left_over as materialized (
    select failed_id from placed where not placed.now order by failed_id desc limit 1
), done as materialized (
    select (select count(*) from again) as jobs,
           case when exists (select from left_over)
                then (select failed_id from placed where failed_id > (select failed_id from left_over) order by failed_id limit 1)
                else $8::uuid end as next,
           case when (select state from gate) = 'canary' then array(select id from again) else '{}' end as made
), :act_moved
select id as outbox_id, lane, priority, ids::text[] as ids, now() as at from sent
