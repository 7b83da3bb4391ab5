-- What somebody said of the failures with one fingerprint; those of which nobody said anything have no row.
create table error_marks (
    tenant      text not null,
    fingerprint text not null,
    mark        text not null check (mark in ('resolved', 'ignored')),
    at          timestamptz not null default now(),
    primary key (tenant, fingerprint)
);
