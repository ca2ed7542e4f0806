"""A tiny binary problem whose meaning changes: will this pot crack in the kiln? From July on, the clay is another."""
