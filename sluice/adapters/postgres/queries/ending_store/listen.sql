-- Keep every ending of every tenant for a listener from now on.
-- $1: its name.
insert into listeners (name) values ($1::text) on conflict do nothing
