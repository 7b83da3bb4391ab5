-- The queued jobs of a kind and lane that are parked: asked for one pair at a time, or all that are parked would be read.
lateral (select id from jobs
         where jobs.kind = served.kind and jobs.lane = served.lane and offered_until = 'infinity' and finished_at is null
           and state = 'queued'
         order by queued_at
