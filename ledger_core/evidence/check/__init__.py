"""The checker's passes, one a file: each compares one stored thing with what the signed bytes say it must be."""
