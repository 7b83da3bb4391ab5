"""How each server is spoken to: one server, one room."""
