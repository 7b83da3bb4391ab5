-- Find the input of a job, long or short.
-- $1: tenant; $2: id.
select coalesce(long.input, jobs.input) from jobs left join inputs as long on long.id = $2::uuid
where jobs.id = $2::uuid and tenant = $1
