"""Bytes into rows, whoever wrote them: CSV, XML, and telling one from the other."""
