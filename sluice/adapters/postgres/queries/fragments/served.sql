-- The kinds that living consumers serve, and in which lanes.
(select distinct kind, lane from consumers, unnest(kinds) as kind, unnest(lanes) as lane
 where lease_until > clock_timestamp()) as served
