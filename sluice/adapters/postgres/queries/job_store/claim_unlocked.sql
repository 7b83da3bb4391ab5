-- Claim queued jobs to run them, but for those that are locked: somebody's transaction may stay open for hours.
-- Takes what `claim` takes.
with wanted as materialized (
    :claimable
    for update skip locked
)
:claimed
