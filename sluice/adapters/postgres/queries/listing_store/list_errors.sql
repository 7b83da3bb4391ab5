-- Group the newest failed jobs of a tenant by fingerprint and kind; each group shows its newest, and the first that failed after it
-- was marked.
-- $1: tenant; $2: not below this id; $3: the most jobs to look at.
with failed as materialized (
    select id, kind, error_fingerprint, finished_at, error, handler_version
    from jobs
    where finished_at is not null and result is null and cancel_requested_at is null
      and tenant >= '' and tenant = any(array[$1]) and id >= $2::uuid
    order by tenant desc, id desc
    limit $3::int
), marks as materialized (
    select fingerprint, mark, at from error_marks
    where tenant = $1 and fingerprint = any(array(select distinct error_fingerprint from failed))
)
select error_fingerprint as fingerprint, kind, count(*)::int, max(finished_at) as newest,
       (array_agg(id::text order by id desc))[1] as example, (array_agg(error order by id desc))[1] as error,
       min(finished_at) as oldest, array_agg(date_trunc('hour', finished_at)) as hours, mark, at as marked_at,
       min(finished_at) filter (where finished_at > at) as back_at,
       (array_agg(handler_version order by finished_at) filter (where finished_at > at))[1] as back_version
from failed left join marks on fingerprint = error_fingerprint
group by error_fingerprint, kind, mark, at
order by count(*) desc, max(finished_at) desc
