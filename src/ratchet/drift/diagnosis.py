"""The diagnosis: what the checks come to, in words."""

from __future__ import annotations

from collections.abc import Sequence

from ratchet.drift.findings import Check, Diagnosis, Performance

_SHOWN = 5


def diagnose(checks: Sequence[Check], performance: Performance, lacking: str | None) -> Diagnosis:
    """Put the checks into words.

    Args:
        checks: All of them.
        performance: Of the primary metric.
        lacking: Why performance is unknown, as a sentence.
    """
    fired = [check for check in checks if check.fires]
    broken = [check for check in fired if check.kind == "quality"]
    if broken:
        said = " ".join(check.sentence for check in broken)
        return Diagnosis("broken upstream", f"The data are wrong, so nothing is to be learnt from them: {said}")
    moved = _moved(fired)
    if performance == "unknown":
        return Diagnosis("too few labels", f"{lacking or 'No labels have come.'} {moved}{_estimated(checks)}")
    inputs = any(check.kind == "input" for check in fired)
    figure = next(check.sentence for check in checks if check.kind == "performance" and not check.estimated)
    if performance == "fell":
        if inputs:
            return Diagnosis("inputs moved and performance fell", f"{figure} {moved}")
        reading = "the same inputs have come to mean something else (concept drift)."
        return Diagnosis("performance fell with stable inputs", f"{figure} {moved} So {reading}")
    return Diagnosis("inputs moved, performance holds" if inputs else "healthy", f"{moved} {figure}")


def _moved(fired: Sequence[Check]) -> str:
    names = [check.name.partition(":")[2] for check in fired if check.kind == "input"]
    score = any(check.kind == "prediction" for check in fired)
    also = " The scores have moved, too." if score and names else " The scores have moved." if score else ""
    if not names:
        return f"No input has moved by more than the reference's own days explain.{also}"
    rest = len(names) - _SHOWN
    more = f" and {rest} more" if rest > 0 else ""
    return f"{len(names)} inputs have moved: {', '.join(names[:_SHOWN])}{more}.{also}"


def _estimated(checks: Sequence[Check]) -> str:
    return "".join(f" {check.sentence}" for check in checks if check.estimated)
