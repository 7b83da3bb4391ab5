-- Fresh results: the newest success of each fingerprint that is young enough.
-- $1: fingerprints; $2: seconds for which each result may be reused.
select :job, null::bytea as input, result, error
from unnest($1::bytea[], $2::float8[]) as wanted(print, fresh_s)
cross join lateral (
    select * from jobs
    where fingerprint = wanted.print and state = 'succeeded'
      and finished_at > now() - wanted.fresh_s * interval '1 second'
    order by finished_at desc
    limit 1
) as jobs
