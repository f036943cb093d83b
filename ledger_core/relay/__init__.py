"""The log as outbox: what it records is told outside, in order, at least once, from a cursor a destination.

There is no outbox table, for the log is one: an event is a record below the signed size, and its number in the log is
where a consumer stands. `relay.py` walks from the cursor; `kafka.py` and `stream.py` are the destinations, behind
`port.py`; `events.py` says what an event looks like to those who read it.
"""
