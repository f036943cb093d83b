"""Replay: the database rebuilt, or brought up to date, from the archive. The door is `replay.py`."""
