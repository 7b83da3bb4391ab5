"""Tests: unit (no server), contract (a port and its implementations), integration (real servers), fault (they die)."""
