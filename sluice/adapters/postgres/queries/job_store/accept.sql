-- Accept jobs: insert them and their outbox rows in one statement, in autocommit, so that no frozen client holds a lock.
-- $1..$21 and $25: one array per field of NewJob; $22: seconds until the keeper publishes what the api did not; $23: the longest
-- input that is stored with its job; $24: whether all are to be accepted or none: a division by zero undoes everything if any was skipped.
-- Rows whose work is under way already or was just done are skipped (single flight), and so are rows whose idempotency key
-- is taken. Unique values are inserted in one order, or batches would deadlock. A key that was taken although its job was
-- skipped points to a job that is not there: the next try points it to another job, or inserts its job. Only one of these comes to
-- pass, as each changes the row of the key. Two tries in one batch have the same id.
-- Returns one row per message, and one without id that lists the scheduled jobs.
with incoming as materialized (
    select *, coalesce(now() + delay_s * interval '1 second', run_at) as start_at
    from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::int[],
                $8::float8[], $9::float8[], $10::int[], $11::bytea[], $12::bool[], $13::float8[], $14::timestamptz[],
                $15::float8[], $16::text[], $17::text[], $18::text[], $19::bytea[], $20::float8[], $21::int[], $25::uuid[])
        as new(id, tenant, kind, lane, priority, input, max_attempts, timeout_s, keep_s, ids_per_message, fingerprint,
               flight, delay_s, run_at, deadline_s, tags, traceparent, key, request_hash, fresh_s, handler_version, webhook)
), keyed as (
    insert into idempotency_keys (tenant, key, request_hash, job_id)
    select distinct on (tenant, key) tenant, key, request_hash, id from incoming where key is not null
    order by tenant, key
    on conflict (tenant, key) do update set job_id = excluded.job_id where idempotency_keys.job_id = excluded.job_id
    returning job_id
), accepted as (
    insert into jobs (id, tenant, kind, handler_version, lane, priority, state, input, max_attempts, timeout_s, keep_s, fingerprint, flight,
                      run_at, queued_at, deadline, tags, traceparent, webhook)
    select id, tenant, kind, handler_version, lane, priority, case when start_at > now() then 'scheduled' else 'queued' end,
           case when length(input) <= $23::int then input end, max_attempts, timeout_s, keep_s, fingerprint, flight, start_at,
           case when start_at > now() then null else now() end,
           now() + deadline_s * interval '1 second', tags, traceparent, uuid_send(webhook)
    from incoming
    where (key is null or id in (select job_id from keyed))
      and not (flight and exists (select from jobs as done
                                  where done.fingerprint = incoming.fingerprint and done.result is not null
                                    and done.finished_at > now() - fresh_s * interval '1 second'))
    order by fingerprint nulls first, id
    on conflict do nothing
    returning id, state
), long as (
    insert into inputs (id, input)
    select id, incoming.input from accepted join incoming using (id) where length(incoming.input) > $23::int
    on conflict do nothing
), placed as (
    select id, lane, priority,
           (row_number() over (partition by lane, priority order by id) - 1) / ids_per_message as message
    from accepted join incoming using (id)
    where state = 'queued'
), sent as (
    insert into outbox (lane, priority, ids, due)
    select lane, priority, array_agg(id order by id), now() + $22::float8 * interval '1 second'
    from placed
    group by lane, priority, message
    returning id, lane, priority, ids
)
select id as outbox_id, lane, priority, ids::text[] as ids, now() as at from sent
union all
select null, null, null, array_agg(id::text), now() from accepted where state = 'scheduled' having count(*) > 0
union all
select null, null, null, '{}', now()
where case when $24::bool then 1 / ((select count(*) from accepted) / cardinality($1::uuid[])) = 0 else false end
