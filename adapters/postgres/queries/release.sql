-- Release: give back claims that were not started, so that another consumer has them at once; the try is not counted.
-- $1: ids; $2: fences.
with held as materialized (
    select id, fence from jobs where id = any($1::uuid[]) and state = 'running' order by id for update
), released as (
    update jobs
    set state = case when cancel_requested_at is null then 'queued' else 'cancelled' end,
        version = version + 1, attempt = attempt - 1, owner = null, lease_until = null,
        queued_at = case when cancel_requested_at is null then now() else queued_at end,
        finished_at = case when cancel_requested_at is not null then now() end
    from unnest($1::uuid[], $2::int[]) as t(id, fence) join held using (id, fence)
    where jobs.id = t.id
    returning jobs.id, lane, priority, state
)
insert into outbox (lane, priority, ids, due)
select lane, priority, array_agg(id), now() from released where state = 'queued' group by lane, priority
