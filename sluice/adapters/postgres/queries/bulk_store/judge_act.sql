-- Judge the canary of a retry by how its new jobs ended: go on, stop, or look again in two seconds while it is not decided. Jobs that are
-- gone have not failed. The part is a decimal, of which a double keeps a little more or less.
-- $1: the act; $2: its version. Returns the state.
with step as (select $1::uuid as act, $2::int as version), :act_gate, seen as materialized (
    select count(*) filter (where job.state is null or job.finished_at is not null) as ended, count(*) filter (where job.state = 'failed') as failed,
           count(*) as jobs
    from gate cross join lateral unnest(canary_jobs) as canary(id)
    left join lateral (select state, finished_at from jobs where jobs.id = canary.id limit 1) as job on true
), verdict as materialized (
    select failed, case when failed > gate.most_failed::numeric * jobs then 'stopped' when ended < jobs then 'watching'
                        when gate.below is null then 'finished' else 'running' end as state
    from seen cross join gate
), judged as (
    update bulk_acts as this
    set version = this.version + (verdict.state <> this.state or verdict.failed <> coalesce(canary_failed, 0))::int,
        state = verdict.state, canary_failed = verdict.failed, reason = case when verdict.state = 'stopped' then 'canary-failed' end,
        finished_at = case when verdict.state in ('stopped', 'finished') then now() end, moved_at = now(), taken_until = null,
        next_at = case verdict.state when 'watching' then now() + interval '2 seconds' when 'running' then now() end,
        expires_at = now() + keep_s * interval '1 second'
    from verdict
    where this.id = (select id from gate)
    returning this.*
), told as (
    insert into audit (key_id, tenant, action, object, detail)
    select key_id, tenant, case state when 'stopped' then 'bulk.stop' else 'bulk.finish' end, 'bulk/' || id,
           jsonb_strip_nulls(jsonb_build_object('changed', changed, 'canary_failed', canary_failed, 'request_id', request_id))
    from judged where finished_at is not null
)
select state from judged
