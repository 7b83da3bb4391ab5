-- The columns of an endpoint of webhooks, in the order of the fields of sluice.core.webhook.Endpoint.
id::text, tenant, url, events, kinds, tags, generation, old_until, failing_since, disabled_at, disabled_why, created_at, verified_at,
       verification_failed
