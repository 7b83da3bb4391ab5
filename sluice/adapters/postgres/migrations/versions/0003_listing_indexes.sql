-- Jobs by tenant and state, newest first. The index is made while jobs are written: that waits for every transaction
-- under way but holds up none, so it may wait for long. What an interrupted run has left is made anew.
set lock_timeout = 0;

drop index concurrently if exists jobs_listing;

create index concurrently jobs_listing on jobs (tenant, state, id);

set lock_timeout = '2s';
