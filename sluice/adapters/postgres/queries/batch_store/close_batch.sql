-- Store which job each item of a batch came to. An item that was refused keeps a job that is there: another request with the same key
-- may have had it accepted.
-- $1: id; $2: jobs in the order of the items, null for those that were refused.
update batches
set items = (select array_agg(coalesce(came.id, (select jobs.id from jobs where jobs.id = batches.items[came.position])) order by came.position)
             from unnest($2::uuid[]) with ordinality as came(id, position))
            || items[cardinality($2::uuid[]) + 1 :]
where id = $1::uuid
