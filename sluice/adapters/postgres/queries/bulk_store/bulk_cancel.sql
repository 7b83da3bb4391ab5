-- Cancel a batch of the jobs of a bulk act, and move the act on.
-- $1: tenant; $2: ids; $3: the act; $4: its version; $5: below which id to go on (null: nowhere).
with step as (select $3::uuid as act, $4::int as version), :act_gate, :cancelled, done as materialized (
    select count(*) as jobs, $5::uuid as next, '{}'::uuid[] as made from changed
), :act_moved
select :job, null::bytea as input, result, error from changed as jobs
