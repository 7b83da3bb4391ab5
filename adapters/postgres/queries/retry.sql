-- Retry: a failed job again, as a new job that says of which; at most one for each.
-- $1: tenant; $2: the failed job; $3: the new job; $4: seconds until the keeper publishes what the api did not.
with again as (
    insert into jobs (id, tenant, kind, lane, priority, state, input, max_attempts, timeout_s, fingerprint,
                      tags, traceparent, queued_at, retry_of)
    select $3::uuid, tenant, kind, lane, priority, 'queued', input, max_attempts, timeout_s, fingerprint,
           tags, traceparent, now(), id
    from jobs
    where id = $2::uuid and tenant = $1 and state = 'failed'
    on conflict do nothing
    returning id, lane, priority
)
insert into outbox (lane, priority, ids, due)
select lane, priority, array[id], now() + $4::float8 * interval '1 second' from again
returning id as outbox_id, lane, priority, ids::text[] as ids, now() as at
