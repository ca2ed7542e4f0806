"""Verbs of release.yml."""

from __future__ import annotations

from pathlib import Path

import click

from ratchet.cli import root
from ratchet.errors import RatchetError

CANDIDATE = Path("build/candidate")


@click.command(epilog="\b\nExample: ratchet candidate --out build/candidate")
@click.option("-o", "--out", type=root.FOLDER, default=CANDIDATE, show_default=True, help="Folder of the candidate.")
def candidate(out: Path) -> None:
    """Find the judged bytes that main's dvc.lock names, and check every hash of them: the first job of release.yml.

    Trains only where there is no release yet. Ends with exit code 2 when something differs; the folder then says what.
    Needs a token that reads: GITHUB_TOKEN.
    """
    from ratchet.forge import Forge
    from ratchet.release import refusal, resolve

    try:
        found = resolve.candidate(Forge.from_environment(), Path(), out)
    except refusal.Refused as error:
        error.refusal.write(out)
        raise
    for name in ("next", "tag", "sha"):
        root.output(name, getattr(found, name))
    click.echo(f"{found.next}: {found.sentence}")


@click.command(epilog="\b\nExample: ratchet image build/candidate --out build/image")
@click.argument("folder", type=root.FOLDER, default=CANDIDATE)
@click.option("-o", "--out", type=root.FOLDER, default=Path("build/image"), show_default=True, help="For the Bento.")
@click.option("--repository", envvar="GITHUB_REPOSITORY", default="local/model", show_default=True, help="owner/name.")
@click.option("--server", envvar="GITHUB_SERVER_URL", default="https://github.com", show_default=True, help="GitHub.")
@click.option("--registry", envvar="IMAGE_REGISTRY", default="ghcr.io", show_default=True, help="Host of the image.")
def image(folder: Path, out: Path, repository: str, server: str, registry: str) -> None:
    """Make the Bento of a candidate: the judged bundle and main's serving code, the build context of deploy/Dockerfile.

    The same model with the same code is the same Bento, byte for byte.
    """
    from ratchet import image

    judged = image.read(folder)
    bento, context = image.build(judged, Path(), out)
    called = image.names(judged, bento, repository, server, registry)
    root.output("bento", bento)
    root.output("context", context)
    root.output("name", called.name)
    root.output("tags", "\n".join(called.tags))
    root.output("labels", image.lines(called.labels))
    root.output("build-args", image.lines(called.build_args))
    click.echo(f"{bento} in {context}, for {called.tags[0]}")


@click.command(epilog="\b\nExample: ratchet smoke ghcr.io/ada/flights@sha256:… --candidate build/candidate")
@click.argument("image")
@click.option("--candidate", "folder", type=root.FOLDER, default=CANDIDATE, show_default=True, help="What was judged.")
@click.option("-o", "--out", type=root.FOLDER, default=Path("build/built"), show_default=True, help="For smoke.json.")
def smoke(image: str, folder: Path, out: Path) -> None:
    """Run an image, and hold its answers against what was judged: model digest, scores of holdout rows, time.

    Needs docker. Ends with exit code 2 and the container's last lines when anything differs.
    """
    from ratchet import smoke

    report = smoke.smoke(image, smoke.read(folder))
    report.write(out)
    click.echo(report.sentence())


@click.command(
    epilog="\b\nExample: ratchet release build/candidate --image ghcr.io/ada/flights@sha256:… --built build/image"
)
@click.argument("folder", type=root.FOLDER, default=CANDIDATE)
@click.option("--image", help="What was built of it, by digest; without it nothing runs.")
@click.option("--bento", help="Tag of the Bento in the image.")
@click.option("--built", type=root.FOLDER, help="Folder of what is said of the image: smoke.json, sbom.spdx.json.")
def release(folder: Path, image: str | None, bento: str | None, built: Path | None) -> None:
    """Publish a candidate, put it into staging, record it, and refresh open pull requests: the last job of release.yml.

    Every step looks at what is there before it writes, so a second time changes nothing, and what a run has left half
    done is finished. Needs a token that writes: GITHUB_TOKEN.
    """
    from ratchet import maintain
    from ratchet.forge import Forge
    from ratchet.release.publish import Built, publish
    from ratchet.release.refusal import Refused

    forge, run = Forge.from_environment(), root.run_number()
    deed = maintain.Deed(root.actor(forge), "", run)
    try:
        done = publish(forge, folder, Built(image or None, bento or None, built), deed)
    except Refused as error:
        error.refusal.write(folder)
        raise
    click.echo("\n".join(done))


@click.command(epilog="\b\nExample: ratchet refuse build/candidate --job candidate=failure")
@click.argument("folder", type=root.FOLDER, default=CANDIDATE)
@click.option("--job", "jobs", multiple=True, help="A job and how it ended: candidate=failure. For each of them.")
def refuse(folder: Path, jobs: tuple[str, ...]) -> None:
    """Say in an issue why nothing was released, or close what earlier runs have said."""
    from ratchet.forge import Forge
    from ratchet.release import refusal

    results = dict(job.split("=", 1) for job in jobs if "=" in job)
    if len(results) < len(jobs):
        raise RatchetError("--job: is a job and how it ended, as in candidate=failure")
    forge = Forge.from_environment()
    run = f"{forge.server_url}/{forge.repository}/actions/runs/{root.run_number()}"
    click.echo(refusal.refuse(forge, folder, results, run))


VERBS = (candidate, image, smoke, release, refuse)
