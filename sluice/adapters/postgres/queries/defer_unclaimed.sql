-- Account: what could not be claimed. Overdue jobs fail; kinds unknown here are offered again in 30 s; the rest is void.
-- $1: ids; $2: kinds known here. Answers the overdue ones, as terminal jobs.
with seen as materialized (
    select id, lane, priority, kind, deadline <= now() as overdue
    from jobs
    where id = any($1::uuid[]) and state = 'queued'
    order by id
    for update
), deferred as (
    insert into outbox (lane, priority, ids, due)
    select lane, priority, array_agg(id), now() + interval '30 seconds'
    from seen
    where overdue is not true and not kind = any($2::text[])
    group by lane, priority
)
update jobs
set :overdue
from seen
where jobs.id = seen.id and seen.overdue
returning :job, null::bytea as input, result, error
