"""Stand-in for re-actors/alls-green, read at v1.2.2: the same jobs are green, and the same outputs are set."""

import json

import runtime


def main() -> None:
    """Look at every job that is needed."""
    jobs = json.loads(runtime.given("jobs")) or {}
    if not jobs:
        runtime.fail("Invalid input jobs matrix, please provide a non-empty `needs` context")
    failing, skipping = names(runtime.given("allowed-failures")), names(runtime.given("allowed-skips"))
    red = [name for name, job in jobs.items() if not is_green(name, job["result"], failing, skipping)]
    for name, job in jobs.items():
        print(f"{'red' if name in red else 'green'}: {name} → {job['result']}")
    runtime.output(result="failure" if red else "success", failure=str(bool(red)).lower(), success=str(not red).lower())
    if red:
        runtime.fail(f"Some of the required to succeed jobs failed: {', '.join(red)}")


def is_green(name: str, result: str, failing: set[str], skipping: set[str]) -> bool:
    """A job that may be skipped has succeeded or was skipped, though it may fail, too; one that may fail is green."""
    if name in skipping:
        return bool(result in {"success", "skipped"})
    return bool(name in failing or result == "success")


def names(text: str) -> set[str]:
    """Names from JSON or from words with commas."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        found = [word.strip() for word in text.split(",")]
    return {name for name in found if name}


if __name__ == "__main__":
    main()
