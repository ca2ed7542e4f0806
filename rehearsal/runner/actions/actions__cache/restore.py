"""Stand-in for actions/cache/restore, and for the first half of actions/cache."""

import os

import runtime


def main() -> None:
    """Unpack what there is under the key, or under one that begins like it."""
    key = runtime.given("key")
    query = {
        "keys": "\n".join([key, runtime.given("restore-keys")]),
        "paths": runtime.given("path"),
        "workspace": os.environ["GITHUB_WORKSPACE"],
        "lookup": runtime.given("lookup-only"),
    }
    status, _, headers = runtime.call("GET", "_runner/cache", **query)
    matched = str(headers.get("Cache-Key", "")) if status == 200 else ""
    print(f"Cache restored from key: {matched}" if matched else f"Cache not found for input keys: {key}")
    if not matched and runtime.is_on("fail-on-cache-miss"):
        runtime.fail(f"Failed to restore cache entry. Input key: {key}")
    hit = str(matched == key).lower() if matched else ""
    runtime.output(cache_hit=hit, cache_primary_key=key, cache_matched_key=matched)
    runtime.remember(key=key, matched=matched)


if __name__ == "__main__":
    main()
