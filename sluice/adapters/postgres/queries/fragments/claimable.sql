-- Those of the jobs $1 that may be claimed: of kinds known here ($3), up to their versions ($5).
select id, handler_version < :version_here as older from jobs
where id = any($1::uuid[]) and state = 'queued' and handler_version <= :version_here
  and (deadline is null or deadline > now())
order by id
