-- List the lanes that are paused.
select name, paused_at as since, reason, paused_by as by from lanes where paused_at is not null
