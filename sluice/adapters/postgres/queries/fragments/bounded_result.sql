-- The result of a job, unless it is long and those of others before it are 4 MiB or more: what is read at once has to be read in time.
case when octet_length(result) <= 16384
          or coalesce(sum(octet_length(result)) over (order by id rows between unbounded preceding and 1 preceding), 0) < 4194304
     then result end as result
