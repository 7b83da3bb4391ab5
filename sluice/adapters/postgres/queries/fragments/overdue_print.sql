-- The fingerprint of a passed deadline, as sluice.core.error_fingerprint makes it.
left(encode(sha256(convert_to(jobs.kind || e'\x1fdeadline-passed\x1fThe deadline passed before the next attempt\x1f', 'UTF8')), 'hex'), 16)
