-- An idempotency key over an hour old whose job is not there, without having been pruned or deleted: the request that used it died
-- before it inserted the job, or found another that was deleted at that moment. It is answered with 410, and never pruned.
-- Do: set its job_id to 00000000-0000-0000-0000-000000000000: it is then pruned like the key of a job that was kept for long enough.
select tenant || ' ' || key
from (select tenant, key, job_id from idempotency_keys
      where job_id > '00000000-0000-0000-0000-000000000000'
        and job_id < rpad(lpad(to_hex((extract(epoch from now() - interval '1 hour') * 1000)::bigint), 12, '0'), 32, '0')::uuid
      order by job_id desc limit :newest) as old
where not exists (select from jobs where jobs.id = old.job_id)
