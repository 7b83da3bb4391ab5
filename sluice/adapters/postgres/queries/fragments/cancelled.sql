-- Cancels those of the jobs with the ids $2 that are the tenant's ($1): at once if they have not begun; if one runs, its consumer is asked to
-- stop, and settling decides. What has been cancelled before is not there to be cancelled again: that, too, is waited for, as the first
-- time may have been in vain. `changed` has nothing of a job that is finished, unknown or of another tenant,
-- or if the `gate` is closed.
wanted as materialized (
    select id from jobs
    where id = any($2::uuid[]) and tenant = $1 and finished_at is null and exists (select from gate) and (select :replicated)
    order by id
    for update
), changed as (
    update jobs
    set state = case when state = 'running' then state else 'cancelled' end,
        finished_at = case when state = 'running' then null else now() end,
        expires_at = case when state = 'running' then null else now() + keep_s * interval '1 second' end,
        version = version + (cancel_requested_at is null)::int,
        cancel_requested_at = coalesce(cancel_requested_at, now())
    where id = any(array(select id from wanted))
    returning *
)
