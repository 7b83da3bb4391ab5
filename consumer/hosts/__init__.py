"""The supervisor of hosts: starts them, places jobs, watches them, and says whose fault a death was."""
