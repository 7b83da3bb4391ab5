-- Delete a batch of the finished jobs of a bulk act, with all they had, and move the act on: behind the last job before one for which there
-- was no room. Room is what `prune_jobs` has.
-- $1: tenant; $2: ids; $3: the act; $4: its version; $5: below which id to go on (null: nowhere).
with step as (select $3::uuid as act, $4::int as version), :act_gate, wanted as materialized (
    select id, :keys, :size as size
    from jobs
    where id = any($2::uuid[]) and tenant = $1 and finished_at is not null and exists (select from gate)
    order by id
    for update
), old as materialized (
    select id, keys
    from (select id, keys, sum(size + keys * 26843) over (order by id desc) as up_to, size + keys * 26843 as own from wanted) as summed
    where up_to <= 268435456 or up_to = own
), :with_all_of_it, left_over as materialized (
    select id from wanted where id <> all(array(select id from gone)) order by id desc limit 1
), done as materialized (
    select (select count(*) from gone) as jobs,
           case when exists (select from left_over)
                then coalesce((select id from gone where id > (select id from left_over) order by id limit 1), (select below from gate))
                else $5::uuid end as next,
           '{}'::uuid[] as made
), :act_moved
select id::text from gone
