-- Find the jobs that run under these leases, or under none that there is. Goes through all unfinished jobs, a part at a time: an
-- index by owner would have to change with every claim.
-- $1: the leases; $2, $3: tenant and id to begin after; $4: the most jobs to look at.
-- Returns the ids, and tenant and id of the last job looked at, if there are more.
with seen as materialized (
    select id, tenant, owner from jobs
    where finished_at is null and tenant >= '' and (tenant, id) > ($2::text, $3::uuid)
    order by tenant, id
    limit $4::int
)
select array(select id::text from seen
             where owner is not null and owner <> all(array(select id from consumers where id <> all($1::uuid[])))) as ids,
       (select tenant from seen order by tenant, id offset $4::int - 1) as tenant,
       (select id::text from seen order by tenant, id offset $4::int - 1) as id
