-- The input of a job, wherever it is, unless it is so long that it is read when the job starts: all that is claimed at once would
-- be in memory at once.
coalesce(jobs.input, (select long.input from inputs as long
                      where long.id = jobs.id and octet_length(long.input) <= 65536)) as input
