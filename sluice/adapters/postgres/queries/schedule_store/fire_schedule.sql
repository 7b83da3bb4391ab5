-- Fire a schedule: its ticks become jobs and its next tick is set in one statement, so that only one of the keepers that
-- found it due fires it, and never half-way.
-- $1: the schedule; $2: the tick it was found due for, null if it is fired by hand, paused or not; $3: its next tick,
-- null by hand; $4: ids of the new jobs; $5: the tick of each, null by hand; $6: the longest input that is stored with its
-- job; $7: the traceparent of each, null where none is traced; $8: whose key fires it by hand, and
-- $9: in which request, which is written down. Returns whether it was to be fired.
with turn as (
    update schedules
    set next_at = coalesce($3::timestamptz, next_at),
        last_at = coalesce((select max(tick) from unnest($5::timestamptz[]) as tick), last_at),
        last_job_id = coalesce(($4::uuid[])[cardinality($4::uuid[])], last_job_id)
    where id = $1::uuid and ($2::timestamptz is null or (next_at = $2::timestamptz and not paused))
    returning tenant, name, kind, input, options
), changed as (
    insert into jobs (id, tenant, kind, handler_version, lane, priority, state, input, max_attempts, timeout_s, keep_s, deadline, run_at, queued_at,
                      tags, traceparent)
    select new.id, tenant, kind, (options->>'handler_version')::int, options->>'lane', options->>'priority', 'queued',
           case when length(input) <= $6::int then input end,
           (options->>'max_attempts')::int, (options->>'timeout_s')::float8, (options->>'keep_s')::float8,
           now() + (options->>'deadline_s')::float8 * interval '1 second', new.tick, now(),
           array_to_string(array(select jsonb_array_elements_text(options->'tags' || coalesce(options->'searchable', '[]')))
                           || ('schedule:' || name), chr(31)), new.traceparent
    from turn, unnest($4::uuid[], $5::timestamptz[], $7::text[]) as new(id, tick, traceparent)
    returning id, lane, priority, state
), long as (
    insert into inputs (id, input) select id, turn.input from changed, turn where length(turn.input) > $6::int
), noted as (
    insert into audit (key_id, tenant, action, object, detail)
    select $8::text, tenant, 'schedule.run', 'schedule/' || name,
           jsonb_strip_nulls(jsonb_build_object('job_id', ($4::uuid[])[1], 'request_id', $9::text))
    from turn where $2::timestamptz is null
), :sent
select exists (select from turn)
