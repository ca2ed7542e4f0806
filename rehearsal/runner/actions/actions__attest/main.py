"""Stand-in for actions/attest: the statement that would be signed, without a signature, which needs the network."""

import hashlib
import json
import os
from pathlib import Path

import runtime

PROVENANCE, SBOM = "https://slsa.dev/provenance/v1", "https://spdx.dev/Document/v2.3"


def main() -> None:
    """Write the statement beside the image it is about."""
    if json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text())["repository"]["private"]:
        runtime.fail("Failed to persist attestation: Feature not available for this private repository")
    name, digest = runtime.given("subject-name"), runtime.given("subject-digest")
    with runtime.registry() as registry:
        registry.digest(f"{name}@{digest}")
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": digest.removeprefix("sha256:")}}],
        **predicate(),
    }
    content = json.dumps(statement, sort_keys=True)
    number = hashlib.sha256(content.encode()).hexdigest()[:16]
    path = registry.folder / "attestations" / digest.removeprefix("sha256:") / f"{number}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content + "\n", encoding="utf-8")
    print(
        f"::notice::{statement['predicateType']} is written down for {digest[:19]}, and not signed: nobody here could"
    )
    url = "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/attestations/".format(**os.environ) + number
    runtime.output(attestation_id=number, attestation_url=url, bundle_path=path)


def predicate() -> dict:
    """What is said: what is in it, or where it was made."""
    sbom = runtime.given("sbom-path")
    if sbom:
        if not Path(sbom).is_file():
            runtime.fail(f"sbom-path: {sbom} does not exist")
        return {"predicateType": SBOM, "predicate": json.loads(Path(sbom).read_text(encoding="utf-8"))}
    names = ("GITHUB_REPOSITORY", "GITHUB_SHA", "GITHUB_WORKFLOW_REF", "GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT")
    return {"predicateType": PROVENANCE, "predicate": {name.lower(): os.environ.get(name, "") for name in names}}


if __name__ == "__main__":
    main()
