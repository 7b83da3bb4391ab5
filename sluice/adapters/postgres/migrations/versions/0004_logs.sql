-- What the handler of a job has logged: one row per attempt that has logged anything.

create table logs (
    job_id uuid not null,
    fence  integer not null,
    first  integer not null,                              -- the number of the first line; those before it were too many
    lines  bytea not null,                                -- JSON objects, one a line
    primary key (job_id, fence)
);

-- Some servers are built without lz4, and go on with the compression they have.
do $$
begin
    if exists (select from pg_settings where name = 'default_toast_compression' and 'lz4' = any(enumvals)) then
        alter table logs alter column lines set compression lz4;
    end if;
end $$;
