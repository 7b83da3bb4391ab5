-- Read what was logged in the attempts of a job, in order: at most 16 rows of 64 KiB.
-- $1: id; $2: the fence of the first attempt; $3: the most rows.
select fence, first, lines from logs where job_id = $1::uuid and fence >= $2::int order by fence limit $3::int
