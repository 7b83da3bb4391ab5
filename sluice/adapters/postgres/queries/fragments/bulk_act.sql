-- The columns of a bulk act, in the order of the fields of sluice.core.bulk.BulkAct.
id::text, tenant, act, filter::text, canary, rate, most_failed, state, reason, version, below::text, matched, changed, canary_failed,
       created_at, finished_at, extract(epoch from next_at - clock_timestamp())::float8 as due_in_s
