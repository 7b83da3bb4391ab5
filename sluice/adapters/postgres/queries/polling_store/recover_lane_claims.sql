-- Recover what runs in a lane under the name of this process: among it are the jobs of a poll whose reply was lost.
-- $1: lane; $2: owner.
select :job, input, null::bytea as result, null::bytea as error
from jobs where lane = $1 and state = 'running' and owner = $2
