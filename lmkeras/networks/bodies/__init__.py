"""Bodies: what reads a text, one file a family."""
