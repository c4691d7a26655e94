"""The runtime layer: annotations enforced at the price of a hand-written assert.

Start with `decorate.py` (`@shaped`), then `guards.py` (what runs at every call) and `contract.py` (what it means).
"""
