"""The assets, one module a group: what they are, what feeds them, a few lines over another room's function."""
