-- The queued jobs of a kind and lane that are parked, up to a version: asked for one kind and lane at a time, or all that are parked
-- would be read.
lateral (select id from jobs
         where jobs.kind = served.kind and jobs.lane = served.lane and handler_version <= served.version
           and offered_until = 'infinity' and finished_at is null and state = 'queued'
         order by handler_version, queued_at
