"""Retrieval metrics over ranks with exact ties, and their evaluation: in memory, streaming, from runs."""
