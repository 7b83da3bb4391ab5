-- Makes the new jobs $3 that try the failed jobs $2 of the tenant $1 again, each naming the failed one; at most one for each. The newest come first;
-- bytes of inputs beyond $5 are left for another statement, and the keeper publishes after $4 seconds what the api did not. Nothing is made
-- if the `gate` is closed.
placed as materialized (
    select failed_id, new.id, sum(length(long.input)) over (order by failed_id desc) - length(long.input) < $5::int as now
    from unnest($2::uuid[], $3::uuid[]) as new(failed_id, id)
    join jobs as failed on failed.id = new.failed_id
    left join inputs as long on long.id = new.failed_id and long.id = any($2::uuid[])
    where tenant = $1 and state = 'failed' and exists (select from gate) and failed.id = any($2::uuid[])
), again as (
    insert into jobs (id, tenant, kind, handler_version, lane, priority, state, input, max_attempts, timeout_s, keep_s, fingerprint,
                      tags, traceparent, webhook, queued_at, retry_of)
    select placed.id, tenant, kind, handler_version, lane, priority, 'queued', input, max_attempts, timeout_s, keep_s, fingerprint,
           tags, traceparent, webhook, now(), failed.id
    from placed join jobs as failed on failed.id = failed_id
    where placed.now is not false and failed.id = any($2::uuid[])
    order by failed.id
    on conflict do nothing
    returning id, lane, priority, retry_of
), long as (
    insert into inputs (id, input) select again.id, inputs.input from again join inputs on inputs.id = retry_of
    where inputs.id = any($2::uuid[])
), sent as (
    insert into outbox (lane, priority, ids, due)
    select lane, priority, array_agg(id order by id), now() + $4::float8 * interval '1 second'
    from again group by lane, priority
    returning id, lane, priority, ids
)
