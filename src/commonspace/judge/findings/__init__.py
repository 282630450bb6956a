"""What can be wrong with a space, one finding a file."""
