"""Evaluation reports: directions of a search, baselines, curves, classes, a verdict in words."""
