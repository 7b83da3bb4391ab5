"""How webhooks are sent: to addresses that were checked, and to no others."""
