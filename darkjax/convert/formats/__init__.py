"""The formats of labelling tools, one module each with a function `read`."""
