-- Twins: unfinished jobs whose work is the same as that of jobs that were skipped at accept.
-- $1: fingerprints.
select :job, null::bytea as input, result, error
from jobs
where fingerprint = any($1::bytea[]) and flight and state in ('scheduled', 'queued', 'running')
