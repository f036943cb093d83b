"""Who is calling: one port, development tokens behind it today, OIDC and mTLS behind the same port later."""
