"""Images without a daemon: buildah builds the real Dockerfile on a base of Debian's packages, made once by mmdebstrap.

No registry is asked for anything. It needs root, for a chroot isolates both `RUN` and what is run afterwards.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ratchet import files
from ratchet.errors import RatchetError

CACHE = Path("~/.cache/ratchet/images").expanduser()
SUITE = "bookworm"
PACKAGES = {"base": ("python3",), "builder": ("python3", "python3-pip", "ca-certificates")}
# What Debian's own slim images leave out.
SLIM = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/lintian/*")
PROGRAMS = ("buildah", "skopeo", "mmdebstrap", "unshare", "chroot")
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
EPOCH = "0"  # time of every file and image: two builds of the same content are the same image
PLACES = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SETTINGS = {"STORAGE_DRIVER": "overlay", "BUILDAH_ISOLATION": "chroot"}


def obstacle() -> str | None:
    """Why no image can be built here; None when it can."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        return f"{missing[0]} is not installed"
    return None if os.geteuid() == 0 else "buildah needs root for a chroot"


def build(
    context: Path, dockerfile: Path, layout: Path, labels: Mapping[str, str], build_args: Mapping[str, str]
) -> str:
    """Build a Dockerfile into an OCI layout; the digest of the manifest.

    Raises:
        RatchetError: A step fails; its output is shown above.
    """
    given = {"BASE": base("base"), "BUILDER": base("builder"), **build_args}
    command = ["build", "--layers", "--timestamp", EPOCH]
    command += [f"--build-arg={name}={value}" for name, value in given.items()]
    command += [f"--label={name}={value}" for name, value in labels.items()]
    with TemporaryDirectory() as scratch:
        image, digest, file = (Path(scratch, name) for name in ("image", "digest", "Dockerfile"))
        files.write_text(file, filled(dockerfile.read_text(encoding="utf-8"), build_args))
        run(*command, "--file", str(file), "--iidfile", str(image), str(context))
        layout.mkdir(parents=True, exist_ok=True)
        # skopeo copies layers as they are; buildah would compress them first, for a minute.
        stored = f"containers-storage:[overlay@{_made(CACHE / 'storage')}+{_made(CACHE / 'run')}]"
        number = image.read_text(encoding="utf-8").strip().removeprefix("sha256:")
        copy = ["skopeo", "copy", "--quiet", "--dest-oci-accept-uncompressed-layers", "--digestfile", str(digest)]
        _run([*copy, f"{stored}@{number}", f"oci:{layout}:{number}"])
        return digest.read_text(encoding="utf-8").strip()


def filled(dockerfile: str, build_args: Mapping[str, str]) -> str:
    """A Dockerfile with the values of arguments where variables take them: `NAME=${NAME}`.

    buildah 1.28 looks for a kept layer by the text of an ENV, whatever the value of the argument in it: a second model
    would come with the first one's commit.
    """
    quoted = {name: re.sub(r'(["\\$])', r"\\\1", value) for name, value in build_args.items()}
    return re.sub(
        r"=\$\{(\w+)\}", lambda found: f'="{quoted[found[1]]}"' if found[1] in quoted else found[0], dockerfile
    )


def base(kind: str) -> str:
    """The name of a base image, which is made when it is not there: `base` has Python, `builder` pip, too."""
    recipe = json.dumps([SUITE, PACKAGES[kind], SLIM, _pip(), _authorities() if kind == "builder" else ""])
    key = hashlib.sha256(recipe.encode()).hexdigest()[:16]
    name = f"localhost/rehearsal/{kind}:{key}"
    if subprocess.run([*_program(), "inspect", "--type=image", name], capture_output=True, check=False).returncode:
        print(f"making {name} of Debian's packages, once")
        with TemporaryDirectory(dir=_made(CACHE)) as scratch:
            _debian(kind, Path(scratch))
            run("build", "--timestamp", EPOCH, "--tag", name, scratch)
    return name


def manifest(layout: Path, digest: str) -> dict[str, Any]:
    """The manifest of an image in an OCI layout."""
    return _blob(layout, digest)


def config(layout: Path, digest: str) -> dict[str, Any]:
    """The configuration of an image: variables, labels, user, command, history."""
    return _blob(layout, manifest(layout, digest)["config"]["digest"])


def size(layout: Path, digest: str) -> int:
    """Bytes of all layers, not compressed."""
    return sum(int(layer["size"]) for layer in manifest(layout, digest)["layers"])


def unpack(layout: Path, digest: str, target: Path) -> None:
    """The file system of an image, layer upon layer, as the kernel would show it."""
    for layer in manifest(layout, digest)["layers"]:
        with tarfile.open(_path(layout, layer["digest"])) as archive:
            for member in archive:
                _place(archive, member, target)


def command(root: Path, layout: Path, digest: str, environment: Mapping[str, str]) -> list[str]:
    """What starts an image: as its user, with its variables, on its own file system, which only /tmp of can be written.

    Everything happens in a mount namespace, and every program gives way to the next: there is one process at the end.
    Whatever runs containers tells them who `localhost` is.
    """
    about = config(layout, digest)["config"]
    variables = dict(one.split("=", maxsplit=1) for one in about.get("Env", ())) | dict(environment)
    user = about.get("User") or "0"
    identity = user if ":" in user else f"{user}:{user}"
    inside = ["chroot", f"--userspec={identity}", "--groups=", str(root)]
    inside += ["/usr/bin/env", "-i", f"--chdir={about.get('WorkingDir') or '/'}"]
    inside += [f"{name}={value}" for name, value in {"PATH": PLACES, **variables}.items()]
    begun = [*about.get("Entrypoint", ()), *about.get("Cmd", ())]
    script = (
        'set -e; cd /; mount --bind "$1" "$1"; mount --rbind /dev "$1/dev"; mount -t proc proc "$1/proc"; '
        'mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"; mkdir -p "$1/etc"; '
        'echo 127.0.0.1 localhost > "$1/etc/hosts"; mount -o remount,bind,ro "$1"; shift; exec "$@"'
    )
    return ["unshare", "--mount", "sh", "-c", script, "sh", str(root), *inside, *begun]


def _place(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    """One member of a layer; `.wh.name` takes away what a layer below has put there."""
    path = target / member.name
    if path.name == ".wh..wh..opq":
        _clear(path.parent)
    elif path.name.startswith(".wh."):
        _remove(path.with_name(path.name.removeprefix(".wh.")))
    else:
        if (path.is_symlink() or path.exists()) and not (path.is_dir() and member.isdir() and not path.is_symlink()):
            _remove(path)
        archive.extract(member, target, numeric_owner=True, filter="tar")


def _clear(folder: Path) -> None:
    for path in list(folder.iterdir()) if folder.is_dir() else ():
        _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _blob(layout: Path, digest: str) -> dict[str, Any]:
    found: dict[str, Any] = files.read_json(_path(layout, digest))
    return found


def _path(layout: Path, digest: str) -> Path:
    return layout / "blobs" / "sha256" / digest.removeprefix("sha256:")


def _debian(kind: str, folder: Path) -> None:
    """A context for `buildah build`: Debian's packages, and for the builder how this machine reaches an index."""
    options = ["--variant=minbase", "--mode=root", f"--include={','.join(PACKAGES[kind])}"]
    options += [f"--dpkgopt=path-exclude={pattern}" for pattern in SLIM]
    _run(["mmdebstrap", "--quiet", *options, SUITE, str(folder / "debian.tar")])
    lines = ["FROM scratch", "ADD debian.tar /"]
    if kind == "builder":
        files.write_text(folder / "pip.conf", _pip())
        lines += ["COPY pip.conf /etc/pip.conf"]
        if AUTHORITIES.is_file():
            shutil.copyfile(AUTHORITIES, folder / "authorities.crt")
            lines += [f"COPY authorities.crt {AUTHORITIES}"]
    files.write_text(folder / "Dockerfile", "\n".join(lines) + "\n")


def _pip() -> str:
    """This machine's settings of pip that name an index, where they are not places on this machine."""
    shown = subprocess.run(
        ["python3", "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    settings = dict(line.split("=", maxsplit=1) for line in shown.splitlines() if "=" in line)
    lines = ["[global]"]
    for name, text in sorted(settings.items()):
        option = name.rpartition(".")[2]
        value = " ".join(word for word in text.strip("'\"").split() if not word.startswith(("/", "file:")))
        if option in {"index-url", "extra-index-url", "find-links", "proxy", "trusted-host"} and value:
            lines.append(f"{option} = {value}")
    return "\n".join(lines) + "\n"


def _authorities() -> str:
    return files.sha256(AUTHORITIES) if AUTHORITIES.is_file() else ""


def run(*arguments: str) -> None:
    """Run buildah with the storage of rehearsals."""
    _run([*_program(), *arguments])


def _program() -> list[str]:
    return ["buildah", "--root", str(_made(CACHE / "storage")), "--runroot", str(_made(CACHE / "run"))]


def _run(command: Sequence[str]) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BUILDAH_")}
    done = subprocess.run(
        command, env=kept | _SETTINGS, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, stdout=subprocess.PIPE,
        text=True, errors="replace", check=False,
    )  # fmt: skip
    if done.returncode:
        last = "\n".join(done.stdout.strip().splitlines()[-30:])
        print(last)
        raise RatchetError(f"{Path(command[0]).name} {_verb(command)}: fails with exit code {done.returncode}: "
                           f"{last.splitlines()[-1] if last else 'it said nothing'}")  # fmt: skip


def _verb(command: Sequence[str]) -> str:
    return next((word for word in command[1:] if word in {"build", "copy"}), "")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
