"""The service: a bundle over HTTP.

    bentoml serve ratchet.serving.service:Service        # serves `bundle/`, on port 3000

Beside this package it needs the bundle's runtime and the `serving` group of `uv.lock`, and no other part of the loop.
"""
