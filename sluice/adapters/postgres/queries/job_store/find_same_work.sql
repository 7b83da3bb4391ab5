-- Find, for each fingerprint, the newest success that is young enough, or else the job that is under way. One statement,
-- so that a job which ends meanwhile is seen either before or after its end. Each is waited for until no failover can undo it.
-- $1: fingerprints; $2: seconds for which each result may be reused.
select :job, null::bytea as input, :bounded_result, error
from unnest($1::bytea[], $2::float8[]) as wanted(print, fresh_s)
cross join lateral (
    (select * from jobs
     where fingerprint = wanted.print and result is not null
       and finished_at > now() - wanted.fresh_s * interval '1 second'
     order by finished_at desc
     limit 1)
    union all
    (select * from jobs
     where fingerprint = wanted.print and flight and finished_at is null)
    limit 1
) as jobs
where :replicated
