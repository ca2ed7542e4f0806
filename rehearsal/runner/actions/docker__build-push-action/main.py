"""Stand-in for docker/build-push-action: the registry of the rehearsal builds, see rehearsal/registry.py."""

import json
from pathlib import Path

import runtime


def main() -> None:
    """Build and push what the inputs say."""
    if not runtime.is_on("push"):
        runtime.fail("only `push: true` is rehearsed: an image that is nowhere has no digest")
    tags = [part.strip() for line in listed("tags") for part in line.split(",") if part.strip()]
    names = {tag.rpartition(":")[0] for tag in tags}
    if len(names) != 1:
        runtime.fail(f"tags: name {len(names)} images, {', '.join(tags)!r}; one is rehearsed")
    (name,) = names
    context = Path(runtime.given("context"))
    dockerfile = Path(runtime.given("file") or context / "Dockerfile")
    if not dockerfile.is_file():
        runtime.fail(f"{dockerfile}: does not exist")
    versions = [tag.rpartition(":")[2] for tag in tags]
    with runtime.registry() as registry:
        digest = registry.push(name, context, dockerfile, versions, pairs("labels"), pairs("build-args"))
    print(f"{name}@{digest}")
    metadata = {"containerimage.digest": digest, "image.name": ",".join(tags)}
    runtime.output(imageid=digest, digest=digest, metadata=json.dumps(metadata))


def listed(name: str) -> list[str]:
    """Lines of an input."""
    return [line.strip() for line in runtime.given(name).splitlines() if line.strip()]


def pairs(name: str) -> dict[str, str]:
    """Lines of `name=value`."""
    return dict(line.split("=", maxsplit=1) for line in listed(name))


if __name__ == "__main__":
    main()
