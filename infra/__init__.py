"""What machines read that are not Python: server settings, images, dashboards, and the local stack."""
