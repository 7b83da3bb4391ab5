-- Looks for jobs of a tenant, newest first: the newest of each group of states that has an index, merged. Other filters are applied to
-- what an index yields, and the rows examined are counted: the last one that may be examined of a group is among the `hits` (`bound`),
-- whether it fits or not, as more may fit below it. A scalar subquery tells whether a job was retried: `not exists` may be planned as a
-- hash of the whole table.
seen as materialized (
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
