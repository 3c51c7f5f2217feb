"""Heads: the parts of networks that compute a task's outputs, one file for each head."""
