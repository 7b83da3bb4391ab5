-- The fingerprint of a lost worker, as sluice.core.error_fingerprint makes it.
left(encode(sha256(convert_to(jobs.kind || e'\x1fworker-lost\x1fThe process running the job died\x1f', 'UTF8')), 'hex'), 16)
