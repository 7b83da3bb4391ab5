-- Recover claims of this process whose reply was lost.
-- $1: ids; $2: owner.
select :job, :input, null::bytea as result, null::bytea as error
from jobs where id = any($1::uuid[]) and state = 'running' and owner = $2 and (select :replicated)
