-- A delivery of a webhook that has been due for over ten minutes, and whose endpoint is disabled or gone: of each endpoint the first.
-- Do: start a consumer; its keeper gives up 8,000 a turn. If one runs, look for `duties_failed` in its log.
select stalled.id::text || ' to ' || endpoint
from :stalled
where not exists (select from webhook_endpoints where webhook_endpoints.id = endpoint and (disabled_at is null or verification = stalled.id))
