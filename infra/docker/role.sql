-- Run once, when the database in docker-compose.yml is made: the role of the processes, which is no superuser. From then on
-- the superuser has no password and comes in only through the socket inside the container.
\getenv password POSTGRES_PASSWORD
create role sluice login password :'password';
create database sluice owner sluice;
alter role postgres password null;
