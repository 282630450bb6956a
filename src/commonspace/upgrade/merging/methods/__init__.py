"""The ways to merge, one a file."""
