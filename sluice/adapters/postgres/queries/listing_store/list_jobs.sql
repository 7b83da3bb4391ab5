-- List jobs of a tenant, newest first, and where the look had to end.
-- $1: tenant; $2: states; $3: below this id; $4: not below this one; $5: kind; $6: tag; $7: created from; $8: created
-- before; $9: error fingerprint (null: any); $10: only what a cancel or a retry would change; $11: the most rows to examine
-- of a group; $12: the most rows to return.
with :examined
select :job, null::bytea as input, null::bytea as result, error, fits, bound
from hits join jobs using (id)
where jobs.id = any(array(select id from hits))
order by hits.id desc
