-- Replace what an endpoint is, and let it go on if it was disabled; its secret stays. Writes down who did it. A new URL has proved nothing, and one
-- that is to be verified stays disabled, or is, and is asked once.
-- $1: tenant; $2: id; $3: URL; $4: events, $5: kinds, $6: tags; $7: whose key does it, and $8: in which request; $9: what asks it to prove itself
-- (null: nothing); $10: whether to ask only for a URL that is new, or was to be verified before.
with before as materialized (
    select id, url <> $3::text as moved, case when url = $3 then verified_at end as verified_at, unverified, verification
    from webhook_endpoints where id = $2::uuid and tenant = $1
    for update
), wish as materialized (
    select *, $9::bytea is not null and verified_at is null and (not $10::bool or moved or unverified) as must from before
), changed as (
    update webhook_endpoints as this
    set url = $3, events = $4::text[], kinds = $5::text[], tags = $6::text[],
        failing_since = null, failures = 0, rests_until = null,
        unverified = must, verified_at = wish.verified_at,
        verification = case when must and (moved or not wish.unverified) then gen_random_uuid() when not moved then wish.verification end,
        verification_failed = case when must and not moved then verification_failed end,
        disabled_at = case when must then now() end, disabled_why = case when must then :unverified end
    from wish
    where this.id = wish.id
    returning this.*, wish.verification as asked_before
), asked as (
    insert into webhook_deliveries (id, endpoint, tenant, event, body, due)
    select verification, id, tenant, 'webhook.verify', $9, now() from changed
    where unverified and verification is distinct from asked_before
), noted as (
    insert into audit (key_id, tenant, action, object, detail)
    select $7::text, tenant, 'webhook.replace', 'webhook/' || id, jsonb_strip_nulls(jsonb_build_object('url', url, 'request_id', $8::text))
    from changed
)
select :endpoint from changed
