"""Who signs: the back-ends that hold keys, the witness rules, the proxy process around both, and its client.

Only the proxy process imports a back-end. Everybody else speaks to it through `client.py`.
"""
