-- Find where settings come from, and under which role and in which database, to say how they are changed.
-- $1: names.
select name, source, quote_ident(current_user) as role, quote_ident(current_database()) as database
from pg_settings where name = any($1::text[])
