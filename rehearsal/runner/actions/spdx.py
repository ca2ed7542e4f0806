"""What is in an image, as SPDX: Debian's packages by dpkg's own list, Python's by their metadata.

Of a Bento that no image was built of, the packages that it locks.
"""

import hashlib
import re
from email.parser import HeaderParser
from pathlib import Path

PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)", re.MULTILINE)


def listed(image: str, root: Path, kind: str) -> dict:
    """The document of an image, or of a Bento that none was built of."""
    return document(image, sorted({*debian(root), *python(root)} if kind == "image" else {*locked(root)}))


def debian(root: Path) -> list[tuple[str, str, str]]:
    """Kind, name and version of what dpkg says is installed."""
    status = root / "var/lib/dpkg/status"
    parts = status.read_text(encoding="utf-8").split("\n\n") if status.exists() else []
    entries = [HeaderParser().parsestr(part) for part in parts if part.strip()]
    return [("deb/debian", one["Package"], one["Version"]) for one in entries if "installed" in (one["Status"] or "")]


def python(root: Path) -> list[tuple[str, str, str]]:
    """The same of Python packages, wherever they are."""
    places = [*root.glob("opt/site/*.dist-info/METADATA"), *root.glob("usr/lib/python3/dist-packages/*/METADATA")]
    entries = [HeaderParser().parsestr(place.read_text(encoding="utf-8", errors="replace")) for place in places]
    return [("pypi", one["Name"], one["Version"]) for one in entries]


def locked(bento: Path) -> list[tuple[str, str, str]]:
    """The same of what a Bento would have installed."""
    text = (bento / "env/python/requirements.txt").read_text(encoding="utf-8")
    return [("pypi", name, version) for name, version in PIN.findall(text)]


def document(image: str, found: list[tuple[str, str, str]]) -> dict:
    """SPDX 2.3."""
    packages = [
        {
            "SPDXID": f"SPDXRef-Package-{number}",
            "name": name,
            "versionInfo": version,
            "downloadLocation": "NOASSERTION",
            "filesAnalyzed": False,
            "externalRefs": [
                {
                    "referenceCategory": "PACKAGE-MANAGER",
                    "referenceType": "purl",
                    "referenceLocator": f"pkg:{kind}/{name.lower()}@{version}",
                }
            ],
        }
        for number, (kind, name, version) in enumerate(found)
    ]
    related = [
        {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": one["SPDXID"]}
        for one in packages
    ]
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": image,
        "documentNamespace": f"https://ratchet.invalid/{hashlib.sha256(image.encode()).hexdigest()}",
        "creationInfo": {"created": "1970-01-01T00:00:00Z", "creators": ["Tool: rehearsal"]},
        "packages": packages,
        "relationships": related,
    }
