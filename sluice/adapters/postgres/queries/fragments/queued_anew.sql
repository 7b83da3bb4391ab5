-- What a job is offered when it is queued again: as much as a new one.
offers = 1, offered_until = now() + interval '60 seconds'
