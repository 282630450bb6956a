"""Bridges: what carries vectors from one space to another."""
