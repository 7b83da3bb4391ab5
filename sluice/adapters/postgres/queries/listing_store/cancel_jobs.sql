-- Cancel jobs as `cancel` does, and write down who did it.
-- $1: tenant; $2: ids; $3: whose key does it; $4: about it, as JSON.
with gate as (select), :cancelled, noted as (
    insert into audit (key_id, tenant, action, object, detail)
    select $3::text, $1, 'jobs.cancel', 'jobs', $4::jsonb || jsonb_build_object('changed', count(*)) from changed having count(*) > 0
)
select :job, null::bytea as input, result, error from changed as jobs
