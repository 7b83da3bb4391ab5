"""What clients and operators see while a server is away: the stack and the requests behind `test_away.py`."""
