-- Ping: the record answers.
select 1
