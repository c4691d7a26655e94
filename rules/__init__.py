"""The bundled rules: each folder here is one, found by its rule.py."""
