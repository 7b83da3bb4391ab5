-- A queued job that others of its queue have overtaken by ten minutes: its message is lost, and no keeper has noticed.
-- Do: see that a consumer runs and RabbitMQ answers; if they do, look for `duties_failed` in the log of the consumer.
with marks as materialized (
    select lane, priority, max(queued_at) as newest from :recent_jobs
    where fence > 0 and state <> 'queued' and queued_at is not null
    group by lane, priority
)
select jobs.id::text from jobs join marks using (lane, priority)
join :served on (served.kind, served.lane) = (jobs.kind, jobs.lane) and handler_version <= served.version
where state = 'queued' and queued_at is not null and finished_at is null and offered_until < newest - interval '9 minutes'
  and not exists (select from lanes where lanes.name = jobs.lane and paused_at is not null)
