-- A bulk act that has something to do, and has not moved for a minute after its time.
-- Do: start a consumer; its keeper carries acts on. If one runs, look for `duties_failed` in its log, and abort the act if it cannot be mended.
select id::text from bulk_acts
where next_at < now() - interval '1 minute' - :patience and moved_at < now() - interval '1 minute' - :patience
