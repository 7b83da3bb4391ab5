-- List consumers as they have described themselves, by lease.
-- $1: the lease behind which to begin; $2: the most of them.
select id::text, host, pid, release, lanes, statistics::text as report, started_at, seen_at,
       greatest(0, extract(epoch from clock_timestamp() - seen_at))::float8 as silent_s, :living as lives
from consumers where id > $1::uuid order by id limit $2::int
