"""PayPal's Settlement Report (STL)."""
