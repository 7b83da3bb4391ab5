-- The kinds that living consumers serve, in which lanes, and up to which version.
(select kind, lane, max(version) as version
 from consumers, unnest(kinds, versions) as known(kind, version), unnest(lanes) as lane
 where :living group by kind, lane) as served
