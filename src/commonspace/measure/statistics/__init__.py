"""Figures with their intervals, and tests between systems."""
