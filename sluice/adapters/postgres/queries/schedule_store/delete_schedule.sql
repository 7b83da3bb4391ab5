-- Delete a schedule by tenant and name. Its jobs stay.
delete from schedules where tenant = $1 and name = $2 returning name
