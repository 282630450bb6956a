"""Change the encoder without re-embedding: bridges between an old and a new space, measured, that may say no.

This room works on arrays. `Collection.upgrade` gives it vectors of both spaces and carries out what it advises.
"""
