-- Group the newest failed jobs of a tenant by fingerprint and kind; each group shows its newest.
-- $1: tenant; $2: not below this id; $3: the most jobs to look at.
select error_fingerprint as fingerprint, kind, count(*)::int, max(finished_at) as newest,
       (array_agg(id::text order by id desc))[1] as example, (array_agg(error order by id desc))[1] as error
from (select id, kind, error_fingerprint, finished_at, error
      from jobs
      where finished_at is not null and result is null and cancel_requested_at is null
        and tenant >= '' and (tenant, id) < ($1, 'ffffffff-ffff-ffff-ffff-ffffffffffff') and (tenant, id) >= ($1, $2::uuid)
      order by tenant desc, id desc
      limit $3::int) as failed
group by error_fingerprint, kind
order by count(*) desc, max(finished_at) desc
