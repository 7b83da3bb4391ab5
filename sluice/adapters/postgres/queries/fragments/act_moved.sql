-- Moves a bulk act on by what was `done` to a batch of its jobs. After a canary, a retry is watched, other acts wait for a `go`; after the
-- last batch it has finished. The next batch comes when the rate allows: a keeper that is late catches up on a second at most.
moved as (
    update bulk_acts as this
    set version = this.version + 1, below = done.next, changed = this.changed + done.jobs, canary_jobs = this.canary_jobs || done.made,
        state = after.state, reason = case when after.state = 'waiting' then 'canary-done' end, moved_at = now(),
        finished_at = case when after.state = 'finished' then now() end,
        next_at = case when after.state in ('canary', 'running') then pace.next when after.state = 'watching' then now() end,
        taken_until = case when after.state in ('canary', 'running') and pace.next < now() + interval '1 second' then this.taken_until end,
        expires_at = now() + this.keep_s * interval '1 second'
    from gate
    cross join done
    cross join lateral (
        select case when gate.state = 'canary' and (gate.changed + done.jobs >= gate.canary or done.next is null)
                    then case when cardinality(gate.canary_jobs || done.made) > 0 then 'watching'
                              when done.next is null then 'finished' else 'waiting' end
                    when done.next is null then 'finished' else gate.state end as state
    ) as after
    cross join lateral (
        select greatest(gate.next_at, now() - interval '1 second') + done.jobs / gate.rate * interval '1 second' as next
    ) as pace
    where this.id = (select act from step)
    returning this.*
), told as (
    insert into audit (key_id, tenant, action, object, detail)
    select key_id, tenant, 'bulk.finish', 'bulk/' || id, jsonb_strip_nulls(jsonb_build_object('changed', changed, 'request_id', request_id))
    from moved where state = 'finished'
)
