-- Find jobs as `list_jobs` does, by the same parameters; ids alone.
with :examined
select id::text, fits, bound from hits order by hits.id desc
