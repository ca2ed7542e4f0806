"""Segments of throws."""

SLICES = {"metal": lambda rows: rows["metal"], "side": lambda rows: rows["side"]}
