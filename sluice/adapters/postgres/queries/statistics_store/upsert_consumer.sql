-- Record that this consumer is here, for people to look at.
-- $1: owner; $2: host; $3: pid; $4: release; $5: lanes.
insert into consumers (id, host, pid, release, lanes) values ($1, $2, $3, $4, $5)
on conflict (id) do update set seen_at = now()
