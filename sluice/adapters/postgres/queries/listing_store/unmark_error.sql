-- Take the mark away, and write down who did it. $1: tenant; $2: fingerprint; $3: whose key does it, and $4: in which request.
with changed as (
    delete from error_marks where tenant = $1 and fingerprint = $2 returning tenant, fingerprint
)
insert into audit (key_id, tenant, action, object, detail)
select $3::text, tenant, 'error.reopen', 'error/' || fingerprint, jsonb_strip_nulls(jsonb_build_object('request_id', $4::text)) from changed
