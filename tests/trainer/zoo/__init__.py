"""Losses in the styles in which people write them: right ones, and wrong ones that are each a mistake of real code."""
