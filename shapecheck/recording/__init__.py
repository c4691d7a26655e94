"""A run, watched: what tensors were, line by line, for the interpreter to rest on.

torch is imported here only, and only when something is watched: `evidence` and `file` do without it.
"""
