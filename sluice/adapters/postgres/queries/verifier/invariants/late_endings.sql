-- The end of a job of which, for ten minutes, no keeper has told the webhooks of its tenant.
-- Do: start a consumer; its keeper tells them. If one runs, look for `duties_failed` in its log.
select id::text from (
    select id, finished_at from endings where listener = 'webhooks' order by n limit 1000
) as oldest
where finished_at < now() - interval '10 minutes' - :patience
