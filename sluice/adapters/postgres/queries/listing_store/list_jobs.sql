-- List jobs of a tenant, newest first: the newest of each state, merged. The rows are compared in the form the index has,
-- so that no other index and no scan can serve. Other filters are applied to what the index yields, and the rows examined
-- are counted: the last one that may be examined of a state is returned (`bound`), whether it fits or not, as more may fit
-- below it. A scalar subquery tells whether a job was retried: `not exists` may be planned as a hash of the whole table.
-- $1: tenant; $2: states; $3: below this id; $4: not below this one; $5: kind; $6: tag; $7: created from; $8: created
-- before; $9: error fingerprint (null: any); $10: only what a cancel or a retry would change; $11: the most rows to examine
-- of a state; $12: the most rows to return.
with hits as materialized (
    select hit.*
    from unnest($2::text[]) as wanted(state)
    cross join lateral (
        select id, fits, place = $11 as bound
        from (select id, place,
                     ($5::text is null or kind = $5) and ($6::text is null or $6 = any(string_to_array(tags, e'\x1f')))
                     and ($7::timestamptz is null or created_at >= $7) and ($8::timestamptz is null or created_at < $8)
                     and ($9::text is null or error_fingerprint = $9)
                     and (not $10::bool
                          or case when finished_at is null then cancel_requested_at is null
                             else (select again.id from jobs as again where again.retry_of = seen.id) is null end) as fits
              from (select *, row_number() over (order by tenant desc, state desc, id desc) as place
                    from jobs
                    where (tenant, state, id) < ($1, wanted.state, $3::uuid)
                      and (tenant, state, id) >= ($1, wanted.state, $4::uuid)
                    order by tenant desc, state desc, id desc
                    limit $11::int) as seen
             ) as examined
        where fits or place = $11
        limit $12::int
    ) as hit
    order by hit.id desc
    limit $12
)
select :job, null::bytea as input, null::bytea as result, error, fits, bound
from hits join jobs using (id)
order by hits.id desc
