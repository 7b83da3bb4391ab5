"""Breaks real servers, processes and connections under load, from a seed, and checks afterwards that every promise was kept."""
