"""Bodies: the parts of networks that read a text, one file for each family."""
