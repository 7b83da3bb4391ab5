-- Mark the failures with this fingerprint from now on, and write down who did it.
-- $1: tenant; $2: fingerprint; $3: the mark; $4: whose key does it, and $5: in which request.
with changed as (
    insert into error_marks (tenant, fingerprint, mark) values ($1, $2, $3)
    on conflict (tenant, fingerprint) do update set mark = excluded.mark, at = excluded.at
    returning tenant, fingerprint, mark
)
insert into audit (key_id, tenant, action, object, detail)
select $4::text, tenant, case mark when 'resolved' then 'error.resolve' else 'error.ignore' end, 'error/' || fingerprint,
       jsonb_strip_nulls(jsonb_build_object('request_id', $5::text))
from changed
