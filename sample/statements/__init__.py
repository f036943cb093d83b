"""What the banks state, in their formats: one module a format, and the texts that they share."""
