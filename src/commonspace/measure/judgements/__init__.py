"""Judgements: which to make next, what cheap ones keep, and what agreement tells without any."""
