"""GitHub's JSON, in full: one function for each kind of thing. Nothing here changes anything."""
