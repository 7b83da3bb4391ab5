-- Find the jobs that run under these leases, or under none that there is; null while another looks for the same purpose. Goes through all that waits
-- or runs, and past what finished jobs leave in the index while somebody's transaction stays open, which takes long: an index by owner
-- would have to change with every claim.
-- $1: the leases; $2: whether a process looks for its own.
select case when pg_try_advisory_xact_lock(7519002 + $2::boolean::int) then array(
    select id::text from jobs
    where lane >= '' and queued_at is not null and finished_at is null
      and owner is not null and owner <> all(array(select id from consumers where id <> all($1::uuid[])))
    order by id
) end as ids
