-- Settle attempts.
-- $1..$12: what the fragment takes.
with :settled
select id::text, fence, owner, state, version, finished_at from changed
