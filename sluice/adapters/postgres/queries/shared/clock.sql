-- Say what time it is. Only this clock decides schedules.
select now()
