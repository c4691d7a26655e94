"""A whole run: configuration, discovery, cache, workers, and one file from its bytes to its diagnostics."""
