"""Break real servers, processes and connections under load, as a seed decides, then check that every promise was kept."""
