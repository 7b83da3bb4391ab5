-- Store what this consumer knows of its own work.
-- $1: owner; $2: its report as JSON.
update consumers set statistics = $2::jsonb, seen_at = now() where id = $1
