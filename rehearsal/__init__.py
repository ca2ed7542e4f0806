"""The whole loop at a desk: a local forge, the real workflows run by act, and the story that `make demo` plays."""
