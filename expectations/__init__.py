"""Arrival and drift of what comes from outside: suites as data, and the one runner that imports Great Expectations."""
