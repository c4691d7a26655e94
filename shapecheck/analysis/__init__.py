"""Questions that rules ask of facts: where a tensor comes from, what its axes are, which batch axes cross."""
