"""What a rule is, which rules there are, and what a finding becomes: places, suppressions, fixes."""
