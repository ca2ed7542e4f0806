"""Stand-in for re-actors/alls-green."""

import json

import runtime


def main() -> None:
    """Look at every job that is needed."""
    lenient = {"failure": names(runtime.given("allowed-failures")), "skipped": names(runtime.given("allowed-skips"))}
    red = []
    for name, job in json.loads(runtime.given("jobs")).items():
        result = job["result"]
        is_green = result == "success" or name in lenient.get(result, ())
        print(f"{'green' if is_green else 'red'}: {name} → {result}")
        red += [] if is_green else [name]
    runtime.output(result="failure" if red else "success")
    if red:
        runtime.fail(f"Some of the required to succeed jobs failed: {', '.join(red)}")


def names(text: str) -> list[str]:
    """Names from JSON or from words with commas."""
    return list(json.loads(text)) if text.strip().startswith("[") else [word.strip() for word in text.split(",")]


if __name__ == "__main__":
    main()
