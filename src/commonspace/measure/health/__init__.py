"""Label-free measures of vectors, and what labels say of a space beyond retrieval."""
