"""Tables: which part each column plays in training, the rows that this makes, and which methods suit them."""
