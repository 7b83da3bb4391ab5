-- Store what is known of each lane.
-- $1: lanes; $2: JSON of each.
insert into lanes (name, statistics)
select name, statistics::jsonb from unnest($1::text[], $2::text[]) as new(name, statistics) order by name
on conflict (name) do update set statistics = excluded.statistics, updated_at = now()
