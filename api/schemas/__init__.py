"""The wire shapes as OpenAPI declares them.

Requests are parsed by the journal's own strict functions, which also know line and pointer; these models document the
same shapes for people and for SDK generators, and a test holds the two against each other.
"""
