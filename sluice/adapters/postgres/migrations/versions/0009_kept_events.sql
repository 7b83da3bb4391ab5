-- Duties that the previous release does not know, and never takes.
insert into duties (name) values ('tell-events'), ('forget-events') on conflict do nothing;
