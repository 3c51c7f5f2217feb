"""Exported models: from text to answers in TensorFlow's own operations."""
