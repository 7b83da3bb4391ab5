-- Cancel jobs: at once if they have not begun; if one runs, its consumer is asked to stop, and settling decides.
-- $1: tenant; $2: ids. Returns nothing for a job that is finished, unknown or of another tenant.
with gate as (select), :cancelled
select :job, null::bytea as input, result, error from changed as jobs
