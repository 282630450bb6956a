"""How alike two spaces are, and how far they agree with people."""
