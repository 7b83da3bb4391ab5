-- Count a verification that a tenant asks for.
-- $1: tenant; $2: how many it may ask for in $3 seconds, which begin with the first. Returns nothing if that is one too many.
insert into webhook_verifications as seen (tenant, since, asked) values ($1, now(), 1)
on conflict (tenant) do update
set asked = case when seen.since > now() - $3::float8 * interval '1 second' then seen.asked + 1 else 1 end,
    since = case when seen.since > now() - $3::float8 * interval '1 second' then seen.since else now() end
where seen.asked < $2::int or seen.since <= now() - $3::float8 * interval '1 second'
returning 1
