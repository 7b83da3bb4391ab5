-- Delete finished jobs that were kept for long enough, with their attempts. Goes along the primary key, whose UUIDv7 says
-- when a job was made, from where the last tick ended, skipping jobs that are kept for longer or have not finished.
-- Idempotency keys outlive their jobs: from then on they stand for no job.
-- $1: lock; $2: the id to begin after; $3: kinds, $4: seconds for which each is kept; $5: seconds for all others;
-- $6: the shortest of these; $7: the most jobs to look at. Returns nothing while another keeper does it.
with turn as materialized (
    select pg_try_advisory_xact_lock($1::bigint) as mine,
           (lpad(to_hex((greatest(0, extract(epoch from now()) - $6::float8) * 1000)::bigint), 12, '0')
            || '70000000000000000000')::uuid as youngest
), seen as materialized (
    select id, finished_at < now() - coalesce(own.keep_s, $5::float8) * interval '1 second' as enough
    from (select id, kind, finished_at from jobs
          where id > $2::uuid and id < (select youngest from turn) and (select mine from turn)
          order by id limit $7::int) as next
    left join unnest($3::text[], $4::float8[]) as own(kind, keep_s) using (kind)
), old as materialized (
    select jobs.id from jobs join seen using (id) where enough order by jobs.id for update of jobs skip locked
), gone as (
    delete from jobs using old where jobs.id = old.id returning jobs.id
), tries as (
    delete from attempts using gone where job_id = gone.id
), keys as (
    update idempotency_keys set job_id = '00000000-0000-0000-0000-000000000000'
    from gone where job_id = gone.id
)
select array(select id::text from gone) as gone, (select count(*)::int from seen) as looked_at,
       (select id::text from seen order by id desc limit 1) as last
from turn where mine
