-- Return the time. Only this clock decides when schedules fire.
select now()
