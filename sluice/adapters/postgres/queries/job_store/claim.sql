-- Claim queued jobs to run them. Waits for rows that are locked: a cancel that rolls back must not make its job look void.
-- $1: ids; $2: owner; $3: kinds known here; $4: seconds for which the lease has to hold; $5: the versions of the kinds.
with wanted as materialized (
    :claimable
    for update
)
:claimed
