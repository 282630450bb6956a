"""Hygiene: which pairs, labels and texts are likely wrong or planted, why, and what to do about them."""
