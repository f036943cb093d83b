"""What comes by itself from outside: webhooks, taken once, worked off by any number of workers."""
