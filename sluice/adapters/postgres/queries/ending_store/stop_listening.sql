-- Keep no more endings for a listener, and forget those it was not told yet.
-- $1: its name.
with gone as (
    delete from listeners where name = $1::text
)
delete from endings where listener = $1::text
