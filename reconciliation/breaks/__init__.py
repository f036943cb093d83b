"""Breaks: what lives on between runs; their identity, the merge of a run into them, the work queue."""
