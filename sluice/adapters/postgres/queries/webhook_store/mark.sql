-- Write what came of a try, unless somebody else has taken the delivery since. An endpoint whose tries fail rests longer and longer, up to five
-- minutes; one that says it is gone, or has taken nothing for so long, is disabled. One that proves itself, when it was asked last, is verified and
-- goes on; that it does not says nothing about deliveries. Nor does what a URL says that was replaced meanwhile say anything about the one that is there.
-- $1: the delivery; $2: its tries; $3: whether it was taken; $4: seconds until the next try (null: none); $5: status, $6: outcome,
-- $7: how the answer began; $8: seconds of failures after which an endpoint is disabled; $9: whether it says that it is gone; $10: the endpoint, and
-- $11: its URL as it was then. Returns why the endpoint was disabled by this, if it was.
with same as materialized (
    select id from webhook_endpoints where id = $10::uuid and url = $11::text
), next as materialized (
    select case when not ($9::bool and exists (select from same)) then $4::float8 end as pause
), marked as (
    update webhook_deliveries
    set due = case when not $3::bool then now() + next.pause * interval '1 second' end,
        done_at = case when $3 or next.pause is null then now() end,
        failed = case when $3 then false when next.pause is null then true end,
        taken_until = null, status = $5::int, outcome = $6::text, answer = $7::bytea
    from next
    where id = $1::uuid and tries = $2::int and done_at is null
    returning id, endpoint, event, outcome
), told as (
    select endpoint from marked join same on same.id = endpoint where event <> 'webhook.verify'
), proved as (
    update webhook_endpoints
    set verified_at = now(), unverified = false, verification_failed = null, failing_since = null, failures = 0, rests_until = null, disabled_at = null,
        disabled_why = null
    from marked
    where $3 and event = 'webhook.verify' and webhook_endpoints.id = endpoint and verification = marked.id
), unproved as (
    update webhook_endpoints set verification_failed = outcome
    from marked
    where not $3 and event = 'webhook.verify' and webhook_endpoints.id = endpoint and verification = marked.id
), well as (
    update webhook_endpoints set failing_since = null, failures = 0, rests_until = null
    where $3 and id = (select endpoint from told) and failing_since is not null
), ill as (
    update webhook_endpoints
    set failing_since = coalesce(failing_since, now()), failures = failures + 1,
        rests_until = case when failures >= 4 then now() + least(2 ^ least(failures - 4, 10), 300) * interval '1 second' end,
        disabled_at = case when $9 or failing_since < now() - $8::float8 * interval '1 second' then now() end,
        disabled_why = case when $9 then 'it answered 410'
                            when failing_since < now() - $8::float8 * interval '1 second' then 'nothing has arrived for too long' end
    where not $3 and id = (select endpoint from told) and disabled_at is null
    returning disabled_why
), noted as (
    insert into audit (key_id, tenant, action, object, detail)
    select null::text, tenant, 'webhook.disable', 'webhook/' || id, jsonb_build_object('why', ill.disabled_why)
    from ill cross join webhook_endpoints
    where id = (select endpoint from marked) and ill.disabled_why is not null
)
select disabled_why from ill where disabled_why is not null
