"""Ratchet, the loop: everything between a change to a model and the bytes that serve it, for any problem."""

from ratchet import processor

processor.fix()  # before anything of the loop imports NumPy
