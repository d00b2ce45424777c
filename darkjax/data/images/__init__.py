"""Image files: headers, decoding, photographs as arrays."""
