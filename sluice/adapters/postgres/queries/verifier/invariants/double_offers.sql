-- A queued job that several rows of the outbox offer, although it was last offered over two minutes ago, or that five rows offer:
-- one of them is enough. While messages are late it is not looked for: jobs that ended a run meanwhile are offered once more.
-- Do: report it, with the job and these rows. The rows do no harm, but if they become more and more, delete all but the newest.
with several as materialized (
    select job, count(*) as offering from outbox, unnest(ids) as job
    where not exists (select from outbox where due < now() - interval '1 minute')
    group by job having count(*) > 1
)
select jobs.id::text from several join jobs on jobs.id = job
where state = 'queued'
  and (offering >= 5
       or offered_until - least(60 * 2 ^ least(offers - 1, 6), 3600) * interval '1 second' < now() - interval '2 minutes')
