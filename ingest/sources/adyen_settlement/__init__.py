"""Adyen's Settlement details report."""
