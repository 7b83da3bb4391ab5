-- An ending of a job that no keeper has told for over ten minutes although a consumer lives, or for over 70 if it waits for RabbitMQ:
-- of each listener the first. Keepers of consumers that tell no events forget those after an hour.
-- Do: look for `duties_failed` in the log of the consumers. If the listener is `events`, see that RabbitMQ answers.
with recursive hears(name) as (
    (select listener from endings order by listener limit 1)
    union all
    select (select next.listener from endings as next where next.listener > name order by next.listener limit 1)
    from hears where name is not null
)
select first.id::text || ' for ' || name
from hears cross join lateral (select id, finished_at from endings where listener = name order by n limit 1) as first
where finished_at < now() - case name when 'webhooks' then interval '10 minutes' else interval '70 minutes' end - :patience
  and exists (select from consumers where :living)
