"""Releases: the champion that proposals must beat, as a GitHub Release that holds the judged bytes, and no others.

    candidate    finds the judged bytes that main's dvc.lock names, or trains a repository's first model   (reads)
    publish      the release, staging, the record, open pull requests; what a broken run left is finished  (writes)
    code         what of a bundle is code, and whether the repository has it
    refusal      why nothing ships, as an issue that closes when a release works again
    published    what is released: fetched, packed, unpacked

The first release of a repository is trained where it is made, and must beat its baselines. Every later one is the
artifact that a verdict in the ledger was about, found by the lock digest of main, whatever way the merge was made.
"""

from ratchet.release.published import (
    BUNDLE,
    FACTS,
    LARGEST_BUNDLE,
    ORIGIN,
    PREFIX,
    REJUDGES,
    fetch,
    fetch_release,
    md5_of,
    newest,
    next_tag,
    number_of,
    pack,
    unpack,
)

__all__ = [
    "BUNDLE",
    "FACTS",
    "LARGEST_BUNDLE",
    "ORIGIN",
    "PREFIX",
    "REJUDGES",
    "fetch",
    "fetch_release",
    "md5_of",
    "newest",
    "next_tag",
    "number_of",
    "pack",
    "unpack",
]
