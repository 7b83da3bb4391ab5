"""The dashboard: pages for people, over the flows that the routes use."""
