-- Find jobs by id, with all that is shown of them. Once 4 MiB of results are found, those of further jobs are left out.
-- $1: ids.
select :job, null::bytea as input,
       case when coalesce(sum(octet_length(result)) over (order by id rows between unbounded preceding and 1 preceding), 0)
                 < 4194304 then result end as result,
       error
from jobs where id = any($1::uuid[])
