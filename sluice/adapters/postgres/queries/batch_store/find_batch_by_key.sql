-- Find the batch that an idempotency key stands for.
-- $1: tenant; $2: key.
select id::text, request_hash from batches where tenant = $1 and key = $2 and :replicated
