"""Text to `Program`: what may be read, the small tree, where its nodes stand, and which file an import means."""
