"""What clients and operators see while a server is away: one table, and what it takes to check it."""
