-- What becomes of a job that was not started in time, whichever statement finds it. `print` is the error's fingerprint.
state = 'failed', version = version + 1, finished_at = now(), error_fingerprint = print,
    error = convert_to(json_build_object('type', 'deadline-passed',
        'title', 'The deadline passed before the job was started', 'detail', '', 'retryable', false,
        'attempt', attempt, 'fingerprint', print)::text, 'UTF8')
