-- The input of a job, wherever it is.
coalesce(jobs.input, (select long.input from inputs as long where long.id = jobs.id)) as input
