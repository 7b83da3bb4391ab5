-- A running job whose lease was over long ago, or never was: no consumer is working on it, and no keeper has rescued it.
-- Do: start a consumer; its keeper rescues within seconds. If one runs, look for `duties_failed` in its log. If the lease is not
-- in the table consumers, insert it there with lease_until = now().
select jobs.id::text from jobs left join consumers on consumers.id = owner
where state = 'running' and queued_at is not null and finished_at is null and lane >= '' and owner is not null
  and (lease_until is null or lease_until < clock_timestamp() - :patience)
  and pg_postmaster_start_time() < clock_timestamp() - :patience
