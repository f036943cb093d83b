"""Keys wrapped by a key-encryption key that lies elsewhere: the port, and one module a back-end behind it."""
