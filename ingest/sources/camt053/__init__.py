"""ISO 20022 bank statements, camt.053.001 versions 02 to 13."""
