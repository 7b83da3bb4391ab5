-- A scheduled job whose time came over a minute ago and that is not queued.
-- Do: start a consumer; its keeper queues 2,000 a second. If one runs, look for `duties_failed` in its log.
select id::text from jobs where state = 'scheduled' and queued_at is null and finished_at is null and run_at < now() - interval '1 minute'
