-- How many bytes of inputs and results each tenant keeps, added up a little at a time. The previous release reads and writes none of it.
create table stored_bytes (
    tenant text primary key,
    bytes  bigint not null default 0,                     -- as they were found last, and what came since
    walked bigint not null default 0                      -- of the walk that goes on
) with (fillfactor = 50);
create index stored_bytes_most on stored_bytes (bytes);

-- How far that is: one row.
create table stored_walk (
    newest  uuid not null default '00000000-0000-0000-0000-000000000000',   -- jobs up to this one are part of `bytes`
    walked  uuid not null default '00000000-0000-0000-0000-000000000000',   -- and up to this one part of `walked`
    done_at timestamptz not null default '-infinity',     -- the last turn
    ends_at timestamptz not null default '-infinity'      -- the end of the last walk
) with (fillfactor = 50);
insert into stored_walk default values;
