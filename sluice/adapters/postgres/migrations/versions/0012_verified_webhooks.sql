-- Which endpoints of webhooks have to be verified, and are. The previous release reads and writes none of it: one that is to be verified is
-- disabled until then, so that it tells it nothing, and may give up the request that verifies it, which is asked for again.
alter table webhook_endpoints
    add column unverified          boolean not null default false,   -- it is disabled until it is verified
    add column verified_at         timestamptz,                      -- since then it is known that this URL wants what is sent
    add column verification        uuid,                             -- the delivery that asks, of those there were the last
    add column verification_failed text;                             -- why its last try failed

-- How often a tenant has asked for a verification lately. It outlives the endpoints, of which there may be new ones all the time.
create table webhook_verifications (
    tenant text primary key,
    since  timestamptz not null,
    asked  integer not null
) with (fillfactor = 50);
