-- What becomes of a job that was not started in time, whichever statement finds it.
state = 'failed', version = version + 1, finished_at = now(), expires_at = now() + keep_s * interval '1 second', error_fingerprint = :overdue_print,
    error = convert_to(json_build_object('type', 'deadline-passed',
        'title', 'The deadline passed before the job was started', 'detail', '', 'retryable', false,
        'attempt', attempt, 'fingerprint', :overdue_print)::text, 'UTF8')
