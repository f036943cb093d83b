"""Reports of US banks in BAI2."""
