"""Drift: is the newest period still like the ones the champion was judged on, and does it still serve?

    reference = drift.reference.build(problem, frames, scores)      # once a champion
    findings = drift.examine(problem, reference, frames, scores, judged=judged, options=options)
    decision = policy.decide(findings, proof=None)

Pure: frames and scores in, plain values out, partition by partition, so that memory does not grow with the rows.
"""

from ratchet.drift import reference
from ratchet.drift.examination import examine
from ratchet.drift.findings import Check, Diagnosis, Findings
from ratchet.drift.options import DriftOptions, Judged, Logged, Operations, Quality
from ratchet.drift.reference import Reference

__all__ = [
    "Check",
    "Diagnosis",
    "DriftOptions",
    "Findings",
    "Judged",
    "Logged",
    "Operations",
    "Quality",
    "Reference",
    "examine",
    "reference",
]
