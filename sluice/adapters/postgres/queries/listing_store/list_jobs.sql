-- List jobs of a tenant, newest first: the newest of each group of states that has an index, merged. Other filters are
-- applied to what an index yields, and the rows examined are counted: the last one that may be examined of a group is returned (`bound`),
-- whether it fits or not, as more may fit below it. A scalar subquery tells whether a job was retried: `not exists` may be planned as a
-- hash of the whole table.
-- $1: tenant; $2: states; $3: below this id; $4: not below this one; $5: kind; $6: tag; $7: created from; $8: created
-- before; $9: error fingerprint (null: any); $10: only what a cancel or a retry would change; $11: the most rows to examine
-- of a group; $12: the most rows to return.
with seen as materialized (
    (select *, row_number() over (order by tenant desc, id desc) as place from jobs
     where finished_at is null and $2::text[] && array['scheduled', 'queued', 'running'] and :below)
    union all
    (select *, row_number() over (order by tenant desc, id desc) as place from jobs
     where result is not null and 'succeeded' = any($2) and :below)
    union all
    (select *, row_number() over (order by tenant desc, id desc) as place from jobs
     where finished_at is not null and result is null and cancel_requested_at is null and 'failed' = any($2) and :below)
    union all
    (select *, row_number() over (order by tenant desc, id desc) as place from jobs
     where finished_at is not null and cancel_requested_at is not null and 'cancelled' = any($2) and :below)
), hits as materialized (
    select id, fits, place = $11 as bound
    from (select id, place,
                 state = any($2)
                 and ($5::text is null or kind = $5) and ($6::text is null or $6 = any(string_to_array(tags, e'\x1f')))
                 and ($7::timestamptz is null or created_at >= $7) and ($8::timestamptz is null or created_at < $8)
                 and ($9::text is null or error_fingerprint = $9)
                 and (not $10::bool
                      or case when finished_at is null then cancel_requested_at is null
                         else (select again.id from jobs as again where again.retry_of = seen.id) is null end) as fits
          from seen) as examined
    where fits or place = $11
    order by id desc
    limit $12
)
select :job, null::bytea as input, null::bytea as result, error, fits, bound
from hits join jobs using (id)
where jobs.id = any(array(select id from hits))
order by hits.id desc
