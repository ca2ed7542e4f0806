"""The audit: from a digest that runs, or ever ran, back to who let it run, on what data, made by which code.

    for line in audit.told(audit.examine(audit.gather(Forge.from_environment(), "sha256:4f1c…"))):
        print(line)

A chain of links: image, release record, GitHub Release and its files, the model in them, commit, lock, pull request,
review, verdict, artifact, data, parameters, code, and where it ran. Each is checked again, by hash where there is one.
What GitHub deletes after some time is *gone*, which is not broken.
"""

from ratchet.audit.facts import Facts, Files, Judgement, Link, Proposal, find, gather
from ratchet.audit.links import complete, examine, told

__all__ = ["Facts", "Files", "Judgement", "Link", "Proposal", "complete", "examine", "find", "gather", "told"]
