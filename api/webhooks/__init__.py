"""Webhooks: endpoints of a tenant, and what was sent to them."""
