"""Transaction 1 of a posting: what the books allow, planned and written in one go; and what follows from it."""
