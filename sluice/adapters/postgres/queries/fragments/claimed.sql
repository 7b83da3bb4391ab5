-- Claims the jobs that are `wanted`, raising the fence. One that a newer version of its kind runs gives no result for the version it was
-- accepted for.
update jobs
set state = 'running', version = version + 1, fence = fence + 1, attempt = attempt + 1, owner = :lease, started_at = now(),
    fingerprint = case when not wanted.older then fingerprint end, flight = flight and not wanted.older
from wanted
where jobs.id = wanted.id and jobs.id = any(array(select id from wanted))
returning :job, :input, null::bytea as result, null::bytea as error
