-- Pause a schedule by tenant and name. Its next tick stays as it was, and no keeper fires it.
update schedules set paused = true where tenant = $1 and name = $2
returning :schedule
