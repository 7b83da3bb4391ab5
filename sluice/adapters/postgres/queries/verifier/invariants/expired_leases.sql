-- A running job whose lease ended long ago: no consumer is working on it, and no keeper has rescued it.
-- Do: start a consumer; its keeper rescues within seconds. If one runs, look for `duties_failed` in its log.
select id::text from jobs
where state = 'running' and lease_until < clock_timestamp() - :patience
  and pg_postmaster_start_time() < clock_timestamp() - :patience
