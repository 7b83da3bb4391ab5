-- The jobs that came last.
(select * from jobs order by id desc limit :newest) as jobs
