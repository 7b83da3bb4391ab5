-- A job that has been queued for over ten minutes and that no consumer may run: none serves its kind in its lane, or only in an
-- older version than it was accepted for. It is not offered until one does. Those of a paused lane wait for an operator.
-- Do: start a consumer that has its kind in that version or a newer one (SLUICE_HANDLERS) and serves its lane (SLUICE_LANES,
-- SLUICE_SERVE_LANES), or cancel the job. If you went back to an older release for good, whose handlers take its input, set
-- handler_version to theirs, fingerprint to null and flight to false.
select jobs.id::text from jobs left join :served using (kind, lane)
where queued_at < now() - interval '10 minutes' and finished_at is null and state = 'queued'
  and (served.version is null or handler_version > served.version)
  and not exists (select from lanes where lanes.name = jobs.lane and paused_at is not null)
