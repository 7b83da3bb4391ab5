-- Two unfinished jobs of the same pure work, which should have shared one run.
-- Do: cancel one of them. Check that the index jobs_flight exists and is valid.
select string_agg(id::text, ' ' order by id) from jobs
where flight and fingerprint is not null and finished_at is null
group by fingerprint having count(*) > 1
