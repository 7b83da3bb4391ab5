-- The jobs that were accepted last.
(select * from jobs order by id desc limit :newest) as jobs
