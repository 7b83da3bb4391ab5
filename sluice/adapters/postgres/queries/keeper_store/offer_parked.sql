-- Offer jobs whose kind was served by nobody, once a consumer serves it.
-- $1: the most jobs of each kind and lane.
with lost as materialized (
    select found.id from :served, :parked limit $1::int for update skip locked) as found
), :offer_again
