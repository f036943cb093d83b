"""The HTTP API: routers over the functions of the other rooms, authentication, problem+json, metrics, OpenAPI.

No rule of accounting, of the log or of reconciliation lives here: a route reads a request, calls one function and
writes its answer. Whoever asks the same question on the command line gets the same answer.
"""
