"""Heads: what answers a task's question, one file a head."""
