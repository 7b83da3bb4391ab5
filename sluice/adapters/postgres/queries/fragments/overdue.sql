-- Fails the jobs that are `late`: they were not started in time, whichever statement finds it.
update jobs
set state = 'failed', version = version + 1, finished_at = now(), expires_at = now() + keep_s * interval '1 second',
    error_fingerprint = :overdue_print,
    error = convert_to(json_build_object('type', 'deadline-passed',
        'title', 'The deadline passed before the next attempt', 'detail', '', 'retryable', false,
        'attempt', attempt, 'fingerprint', :overdue_print)::text, 'UTF8')
where id = any(array(select id from late))
returning :job, null::bytea as input, result, error
