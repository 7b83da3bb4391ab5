-- A queued job whose deadline passed over a minute ago and that has not failed.
-- Do: start a consumer, or more of them: deadlines are enforced when a job would be claimed.
select id::text from jobs where state = 'queued' and finished_at is null and deadline < now() - interval '1 minute'
