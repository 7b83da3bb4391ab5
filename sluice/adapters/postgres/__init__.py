"""PostgreSQL, the record: everything that knows a table, a column or a statement."""
