-- A queued job whose kind no consumer serves in its lane, for over ten minutes: it is not offered until one does.
-- Do: start a consumer that has its kind (SLUICE_HANDLERS) and serves its lane (SLUICE_SERVE_LANES), or cancel the job.
select id::text from jobs
where offered_until = 'infinity' and finished_at is null and queued_at < now() - interval '10 minutes'
