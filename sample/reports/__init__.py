"""What each provider reports, in its own format: one module a provider, and the port that they share."""
