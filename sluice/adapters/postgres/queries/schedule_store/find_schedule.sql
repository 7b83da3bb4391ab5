-- Find a schedule by tenant and name.
select :schedule
from schedules where tenant = $1 and name = $2
