"""The registry at a desk: the real Dockerfile built by buildah, or the Bento itself, and stand-ins that use it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

import image_example
from image_example import ROOT
from ratchet import bundle, files, image, smoke
from ratchet.errors import RatchetError
from rehearsal import buildah
from rehearsal.forge import Forge
from rehearsal.ports import free_port
from rehearsal.registry import Registry, stop
from rehearsal.runner import Runner, standins

pytestmark = pytest.mark.xdist_group("image")

NAME = "ghcr.io/ada/flights"
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
OBSTACLE = buildah.obstacle()
needs_buildah = pytest.mark.skipif(OBSTACLE is not None, reason=f"needs buildah: {OBSTACLE}")
WITHIN = 30.0  # seconds for a service to start


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A candidate with its Bento."""
    made = tmp_path_factory.mktemp("registry")
    image_example.candidate(image_example.outputs(made / "outputs"), made / "candidate")
    image_example.bento(made / "candidate", made / "image")
    return made


@pytest.fixture(scope="module")
def built(folder: Path) -> tuple[Registry, str]:
    """The image of this repository's Dockerfile, and where it is."""
    registry = Registry(folder / "built", "buildah")
    return registry, f"{NAME}@{push(registry, folder)}"


def push(registry: Registry, folder: Path, **changes: str) -> str:
    """What release.yml pushes."""
    called = image.names(image.read(folder / "candidate"), "coins:1", "ada/flights", "https://github.com", "ghcr.io")
    arguments = {**called.build_args, **changes}
    return registry.push(NAME, folder / "image" / "bento", DOCKERFILE, ["model-v2"], called.labels, arguments)


@contextmanager
def served(registry: Registry, reference: str, log: Path, **environment: str) -> Iterator[tuple[httpx.Client, int]]:
    """A client of the running service, and its process."""
    port = free_port()
    process = registry.run(reference, port, environment, log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            until = time.monotonic() + WITHIN
            while not answers(client):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < until, log.read_text()
                time.sleep(0.05)
            yield client, process.pid
    finally:
        stop(process)
    assert not Path(f"/proc/{process.pid}").exists()


def answers(client: httpx.Client) -> bool:
    """It is ready."""
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


class TestBento:
    """Without a builder."""

    def test_serves_the_judged_model_and_says_which_it_is(self, folder: Path, tmp_path: Path) -> None:
        """With the variables that the image would have, in a process group of its own."""
        registry = Registry(tmp_path / "registry", "bento")
        reference = f"{NAME}@{push(registry, folder)}"

        with served(registry, reference, tmp_path / "log") as (client, process):
            found = client.get("/info").json()
            assert os.getpgid(process) == process

        assert registry.kind(reference) == "bento"
        assert found["model"] == bundle.digest(folder / "candidate" / "bundle")
        assert (found["release"], found["commit"]) == ("model-v2", image_example.SHA)

    def test_has_a_digest_of_its_content(self, folder: Path, tmp_path: Path) -> None:
        """The same twice, and in another registry; another commit is another image."""
        first, second = Registry(tmp_path / "a", "bento"), Registry(tmp_path / "b", "bento")

        digest = push(first, folder)

        assert push(first, folder) == push(second, folder) == digest
        assert push(first, folder, RATCHET_COMMIT="e" * 40) != digest

    def test_a_tag_points_to_what_was_pushed_last(self, folder: Path, tmp_path: Path) -> None:
        """What it pointed to before is still there by its digest."""
        registry = Registry(tmp_path, "bento")
        old, new = push(registry, folder), push(registry, folder, RATCHET_COMMIT="e" * 40)

        assert registry.digest(f"{NAME}:model-v2") == new
        assert registry.tags(NAME) == {"model-v2": new}
        assert registry.digest(f"{NAME}@{old}") == old

    @pytest.mark.parametrize(
        "reference",
        [f"{NAME}:model-v9", f"{NAME}@sha256:{'0' * 64}", "ghcr.io/eve/flights:model-v2"],
        ids=["tag", "digest", "name"],
    )
    def test_what_was_not_pushed_is_not_there(self, folder: Path, tmp_path: Path, reference: str) -> None:
        """It is named."""
        registry = Registry(tmp_path, "bento")
        push(registry, folder)

        with pytest.raises(RatchetError, match=f"^{reference}: is not in the registry"):
            registry.digest(reference)

    def test_a_digest_cannot_name_a_place(self, tmp_path: Path) -> None:
        """References come from files that workflows write."""
        with pytest.raises(RatchetError, match="is no digest"):
            Registry(tmp_path).digest(f"{NAME}@sha256:../../etc/passwd")

    def test_a_folder_that_is_no_bento_is_refused(self, tmp_path: Path) -> None:
        """It could not be run."""
        with pytest.raises(RatchetError, match=r"is no Bento, for it has no bento\.yaml"):
            Registry(tmp_path / "registry", "bento").push(NAME, tmp_path, DOCKERFILE)

    def test_an_unknown_builder_is_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Not taken for another."""
        monkeypatch.setenv("REHEARSAL_BUILDER", "docker")

        with pytest.raises(RatchetError, match="is 'docker', and has to be auto, buildah or bento"):
            Registry(tmp_path)

    def test_where_nothing_builds_it_says_so(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """By itself it goes on with the Bento; when told to build, it does not pretend."""
        monkeypatch.setenv("PATH", str(tmp_path))

        digest = push(Registry(tmp_path / "registry", "auto"), folder)

        assert "no image is built (buildah is not installed): the Bento itself is kept" in capsys.readouterr().out
        assert Registry(tmp_path / "registry").kind(f"{NAME}@{digest}") == "bento"
        with pytest.raises(RatchetError, match="says buildah, but buildah is not installed"):
            push(Registry(tmp_path / "registry", "buildah"), folder)


@needs_buildah
class TestImage:
    """Built of deploy/Dockerfile."""

    def test_passes_the_smoke_test(
        self, built: tuple[Registry, str], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With Debian's Python and what it installed itself, all rows score as was judged."""
        registry, reference = built
        standins.docker(tmp_path / "programs")
        monkeypatch.setenv("PATH", f"{tmp_path / 'programs'}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setenv("REHEARSAL_REGISTRY", str(registry.folder))

        report = smoke.smoke(reference, smoke.read(folder / "candidate"))

        assert (report.rows, report.largest_difference) == (182, 0.0)

    def test_holds_the_judged_bundle(self, built: tuple[Registry, str], folder: Path) -> None:
        """Read from its layers, whatever it says of itself."""
        registry, reference = built

        found = bundle.load(registry.root(reference) / "opt/bento/src/bundle")

        assert found.digest == bundle.digest(folder / "candidate" / "bundle")

    def test_runs_as_nobody_on_files_that_it_cannot_write(self, built: tuple[Registry, str], tmp_path: Path) -> None:
        """One process, without rights; only /tmp can be written."""
        registry, reference = built

        with served(registry, reference, tmp_path / "log") as (client, process):
            assert client.get("/info").json()["release"] == "model-v2"
            status = Path(f"/proc/{process}/status").read_text()
            mounts = Path(f"/proc/{process}/mounts").read_text()
            group = subprocess.run(["ps", "-o", "pid=", "-g", str(process)], capture_output=True, text=True, check=True)

        assert "Uid:\t65532\t65532\t65532\t65532" in status
        assert "Groups:\t \n" in status
        assert "CapEff:\t0000000000000000" in status
        (root,) = [line.split()[3] for line in mounts.splitlines() if line.split()[1] == "/"]
        assert root.split(",")[0] == "ro"
        assert group.stdout.split() == [str(process)]

    def test_a_new_volume_for_the_prediction_log_is_its_users(self, built: tuple[Registry, str]) -> None:
        """Docker gives it the owner of the folder that it is mounted on, and makes that as root where there is none."""
        registry, reference = built

        folder = (registry.root(reference) / "predictions").stat()

        assert (folder.st_uid, folder.st_gid, folder.st_mode & 0o777) == (65532, 65532, 0o755)

    def test_has_nothing_to_install_or_build_or_train_with(self, built: tuple[Registry, str]) -> None:
        """No pip, compiler, tests or training stack; every module is compiled."""
        registry, reference = built
        root = registry.root(reference)

        programs = {path.name for place in ("usr/bin", "usr/local/bin") for path in (root / place).glob("*")}
        packages = {path.name for path in (root / "opt/site").iterdir()}
        modules = [path for path in (root / "opt").rglob("*.py") if path.parent.name != "__pycache__"]

        assert not programs & {"pip", "pip3", "gcc", "cc", "make", "git", "curl", "wget"}
        assert not packages & {"pandas", "sklearn", "dvc", "mlflow", "pandera", "pip", "setuptools", "bin"}
        assert [path for path in (root / "opt/site").rglob("tests") if path.is_dir()] == []
        assert len(modules) > 1000
        assert [p for p in modules if not (p.parent / "__pycache__" / f"{p.stem}.cpython-311.pyc").exists()] == []

    def test_says_what_it_is(self, built: tuple[Registry, str]) -> None:
        """By labels for people and registries, and by variables for the service."""
        registry, reference = built
        about = buildah.config(registry.folder / "oci", registry.digest(reference))["config"]

        assert about["Labels"]["org.opencontainers.image.revision"] == image_example.SHA
        assert about["Labels"]["org.opencontainers.image.version"] == "model-v2"
        assert about["Labels"]["ratchet.record"] == image_example.VERDICT
        assert f"RATCHET_COMMIT={image_example.SHA}" in about["Env"]
        assert (about["User"], about["WorkingDir"]) == ("65532:65532", "/opt/bento/src")
        assert about["Entrypoint"] == ["python3", "-P", "-m", "ratchet.serving.start"]

    def test_another_commit_changes_what_the_image_says_and_no_layer(
        self, built: tuple[Registry, str], folder: Path
    ) -> None:
        """And the same one is the same image."""
        registry, reference = built
        digest = registry.digest(reference)

        same, other = push(registry, folder), push(registry, folder, RATCHET_COMMIT="e" * 40)

        assert same == digest != other
        layers, others = (buildah.manifest(registry.folder / "oci", one)["layers"] for one in (digest, other))
        assert layers == others
        assert f"RATCHET_COMMIT={'e' * 40}" in buildah.config(registry.folder / "oci", other)["config"]["Env"]

    def test_a_model_of_another_python_is_not_built(self, folder: Path, tmp_path: Path) -> None:
        """It would not run as it was judged."""
        context = Path(shutil.copytree(folder / "image" / "bento", tmp_path / "bento"))
        manifest = context / "src" / "bundle" / "manifest.json"
        files.write_json(manifest, {**files.read_json(manifest), "python": "3.12"})

        with pytest.raises(RatchetError, match=r"^buildah build: "):
            Registry(tmp_path / "registry", "buildah").push(NAME, context, DOCKERFILE)


def test_arguments_are_filled_in_where_variables_take_them() -> None:
    """As the builder would; others stay, and no value is read as another variable."""
    text = "ARG A B C\nFROM ${A}\nENV A=${A} B=${B} C=${C}\n"

    assert buildah.filled(text, {"A": 'a"$HOME', "B": ""}) == 'ARG A B C\nFROM ${A}\nENV A="a\\"\\$HOME" B="" C=${C}\n'


def test_layers_are_unpacked_as_the_kernel_shows_them(tmp_path: Path) -> None:
    """What a later layer takes away is gone, and what it replaces is replaced, whatever kind of file it was."""
    layers = [
        {"x/": None, "x/gone/": None, "x/gone/a": "a", "x/old": "old", "x/kept/": None, "x/kept/c": "c", "x/file": "f"},
        {"x/.wh.gone": "", "x/old": "new", "x/file/": None, "x/kept/.wh..wh..opq": "", "x/kept/d": "d"},
    ]
    digest = layout_of(tmp_path / "oci", layers)

    buildah.unpack(tmp_path / "oci", digest, tmp_path / "root")

    found = {path.relative_to(tmp_path / "root").as_posix(): path for path in (tmp_path / "root").rglob("*")}
    assert sorted(found) == ["x", "x/file", "x/kept", "x/kept/d", "x/old"]
    assert found["x/file"].is_dir()
    assert found["x/old"].read_text() == "new"


def layout_of(folder: Path, layers: Sequence[Mapping[str, str | None]]) -> str:
    """An OCI layout with one image: path to text, or None for a folder; the digest of its manifest."""

    def keep(content: bytes) -> str:
        number = hashlib.sha256(content).hexdigest()
        files.write_bytes(folder / "blobs" / "sha256" / number, content)
        return f"sha256:{number}"

    def packed(layer: Mapping[str, str | None]) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name, text in layer.items():
                member = tarfile.TarInfo(name)
                member.type, member.mode = (tarfile.DIRTYPE, 0o755) if text is None else (tarfile.REGTYPE, 0o644)
                member.size = len(text or "")
                archive.addfile(member, io.BytesIO((text or "").encode()))
        return buffer.getvalue()

    return keep(json.dumps({"layers": [{"digest": keep(packed(layer))} for layer in layers]}).encode())


WORKFLOW = """
name: build
on: push
permissions: {}
jobs:
  image:
    runs-on: ubuntu-24.04
    permissions: {contents: read}
    outputs:
      digest: ${{ steps.push.outputs.digest }}
    steps:
      - uses: actions/checkout@v7
      - uses: docker/setup-buildx-action@v4
      - uses: docker/login-action@v4
        with: {registry: ghcr.io, username: "${{ github.actor }}", password: "${{ github.token }}"}
      - id: push
        uses: docker/build-push-action@v7
        with:
          context: bento
          file: bento/Dockerfile
          push: true
          tags: |
            ghcr.io/ada/flights:model-v2
            ghcr.io/ada/flights:1234
          labels: ratchet.model=1234
          build-args: |
            RATCHET_COMMIT=abc
            RATCHET_RELEASE=model-v2
      - run: |
          mkdir -p build/scan out
          docker save "ghcr.io/ada/flights@$DIGEST" > build/scan/image.tar
          docker compose --file .github/scan/compose.yaml run --rm --no-TTY sbom > out/sbom.spdx.json
          docker compose --file .github/scan/compose.yaml run --rm --no-TTY vulnerabilities
        env:
          DIGEST: ${{ steps.push.outputs.digest }}
      - uses: actions/attest@v4
        continue-on-error: ${{ github.event.repository.private }}
        with:
          subject-name: ghcr.io/ada/flights
          subject-digest: ${{ steps.push.outputs.digest }}
          sbom-path: out/sbom.spdx.json
      - run: "! docker run --detach ghcr.io/ada/flights:none"
  after:
    needs: image
    runs-on: ubuntu-24.04
    steps:
      - run: echo "pushed $DIGEST"
        env:
          DIGEST: ${{ needs.image.outputs.digest }}
"""


SOURCES = {
    ".github/workflows/build.yml": WORKFLOW,
    ".github/scan/compose.yaml": (ROOT / ".github/scan/compose.yaml").read_text(),
    "bento/bento.yaml": "name: coins\n",
    "bento/Dockerfile": "FROM scratch\n",
    "bento/env/python/requirements.txt": "numpy==2.4.6 ; python_full_version < '3.12' \\\n    --hash=sha256:00\n",
}


def test_a_workflow_builds_scans_and_attests_by_stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The inputs of the real actions; each writes down what it did, and what it could not do it says."""
    log = played(tmp_path, monkeypatch)

    registry = Registry(tmp_path / "forge" / "registry")
    digest = registry.digest("ghcr.io/ada/flights:model-v2")
    assert f"pushed {digest}" in log
    assert registry.tags("ghcr.io/ada/flights") == {"1234": digest, "model-v2": digest}
    assert registry.facts(digest) == {
        "kind": "bento",
        "name": "ghcr.io/ada/flights",
        "labels": {"ratchet.model": "1234"},
        "variables": {"RATCHET_COMMIT": "abc", "RATCHET_RELEASE": "model-v2"},
    }
    for said in ("the Bento itself is kept", "was not scanned", "and not signed"):
        assert said in log
    (statement,) = (registry.folder / "attestations" / digest.removeprefix("sha256:")).glob("*.json")
    content = json.loads(statement.read_text())
    assert content["subject"] == [{"name": "ghcr.io/ada/flights", "digest": {"sha256": digest.removeprefix("sha256:")}}]
    assert [(one["name"], one["versionInfo"]) for one in content["predicate"]["packages"]] == [("numpy", "2.4.6")]


def test_a_private_repository_goes_on_without_an_attestation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GitHub attests there on Enterprise Cloud alone, and refuses elsewhere."""
    log = played(tmp_path, monkeypatch, is_private=True)

    assert "Feature not available for this private repository" in log
    assert "pushed sha256:" in log
    assert not (tmp_path / "forge" / "registry" / "attestations").exists()


def played(folder: Path, monkeypatch: pytest.MonkeyPatch, *, is_private: bool = False) -> str:
    """Push the workflow, and wait until it has succeeded; its log."""
    monkeypatch.setenv("REHEARSAL_BUILDER", "bento")
    with Forge(folder / "forge") as forge:
        forge.create_repository("ada/flights", private=is_private)
        with Runner(forge) as runner:
            commit(folder / "work", SOURCES, forge)
            runner.wait(60)
        (run,) = forge.runs("ada/flights")
        log = Path(run.log).read_text()
    assert run.conclusion == "success", log
    return log


def commit(work: Path, sources: Mapping[str, str], forge: Forge) -> None:
    """Push files to main."""
    for name, text in sources.items():
        files.write_text(work / name, text)
    secret = f"//x:{forge.token('ada')}@"
    url = f"{forge.url.replace('//', secret)}/ada/flights.git"
    author = ["-c", "user.name=ada", "-c", "user.email=ada@x"]
    for words in (["init", "-b", "main"], ["add", "-A"], [*author, "commit", "-m", "x"], ["push", url, "main"]):
        subprocess.run(["git", *words], cwd=work, check=True, capture_output=True)


@needs_buildah
def test_an_sbom_lists_what_is_in_the_image(built: tuple[Registry, str], tmp_path: Path) -> None:
    """Debian's packages and Python's, each as a package URL."""
    registry, reference = built

    found = sbom(registry, reference, tmp_path)

    urls = {one["externalRefs"][0]["referenceLocator"] for one in found["packages"]}
    assert "pkg:pypi/bentoml@1.4.39" in urls
    assert any(url.startswith("pkg:deb/debian/libc6@2.36") for url in urls)
    assert not any(url.startswith(("pkg:pypi/pip@", "pkg:pypi/pandas@", "pkg:deb/debian/gcc@")) for url in urls)
    assert found["spdxVersion"] == "SPDX-2.3"


def sbom(registry: Registry, reference: str, scratch: Path) -> dict[str, Any]:
    """What the stand-in of Trivy lists, called as release.yml calls it."""
    program = standins.docker(scratch / "programs")
    shutil.copytree(ROOT / ".github/scan", scratch / ".github/scan")
    environment = {**os.environ, "REHEARSAL_REGISTRY": str(registry.folder)}
    archive = scratch / "build/scan/image.tar"
    files.write_text(archive, f"{reference}\n")
    command = [program, "compose", "--file", ".github/scan/compose.yaml", "run", "--rm", "--no-TTY", "sbom"]
    done = subprocess.run(command, cwd=scratch, env=environment, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


class TestDocker:
    """The stand-in for the command."""

    @pytest.fixture
    def docker(self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """The program, on a registry with one Bento."""
        push(Registry(tmp_path / "registry", "bento"), folder)
        monkeypatch.setenv("REHEARSAL_REGISTRY", str(tmp_path / "registry"))
        return standins.docker(tmp_path / "programs")

    def test_runs_says_where_and_forgets(self, docker: Path) -> None:
        """As docker would be asked by `ratchet smoke`."""
        command = ["run", "--detach", "--env", "RATCHET_TOKEN=secret", "--publish", "127.0.0.1::3000"]
        container = said(docker, *command, f"{NAME}:model-v2")
        try:
            address = said(docker, "port", container, "3000")
            with httpx.Client(base_url=f"http://{address}", timeout=10) as client:
                until = time.monotonic() + WITHIN
                while not answers(client):
                    assert time.monotonic() < until
                    time.sleep(0.05)
                assert client.post("/predict", json={}).status_code == 401
            assert said(docker, "inspect", "--format", "{{.State.Running}}", container) == "true"
            assert "initialized" in said(docker, "logs", "--tail", "5", container)
        finally:
            assert said(docker, "rm", "--force", container) == container
        with pytest.raises(subprocess.CalledProcessError):
            said(docker, "logs", container)

    def test_what_it_does_not_know_it_refuses(self, docker: Path) -> None:
        """An option that is left out without a word would be believed to work."""
        done = subprocess.run([docker, "run", "--detach", "--gpus", "all", NAME], capture_output=True, check=False)

        assert done.returncode == 2


def said(program: Path, *arguments: str) -> str:
    """What it prints."""
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()
