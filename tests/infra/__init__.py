"""Tests of what is in infra/, without servers: the tools that check it, and what charts and overlays come to."""
