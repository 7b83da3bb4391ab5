-- Find the bulk act that an idempotency key stands for.
-- $1: tenant; $2: key.
select id::text, request_hash from bulk_acts where tenant = $1 and key = $2 and :replicated
