"""Stand-in for actions/checkout: clones the commit from the forge, as deep as it was asked to."""

import base64
import os
import re
import shutil
import subprocess
from pathlib import Path

import runtime

CML = "iterative/cml"
_SHA = re.compile("[0-9a-f]{40}")


def main() -> None:
    """Fetch, and check out."""
    runtime.await_job()
    target = Path(os.environ["GITHUB_WORKSPACE"], runtime.given("path"))
    if runtime.given("repository").lower() == CML:
        double(target)
        return
    target.mkdir(parents=True, exist_ok=True)
    git(target, "init", "--quiet", "--initial-branch", "main")
    if not (target / ".git" / "refs" / "remotes").is_dir():
        git(target, "remote", "add", "origin", f"{os.environ['GITHUB_SERVER_URL']}/{runtime.given('repository')}.git")
    login(target, runtime.given("token"))
    sha, branch = fetch(
        target, runtime.given("ref"), own=runtime.given("repository") == os.environ["GITHUB_REPOSITORY"]
    )
    git(target, "checkout", "--quiet", "--force", *(["-B", branch] if branch else ["--detach"]), sha)
    if not runtime.is_on("persist-credentials"):
        git(target, "config", "--unset-all", f"http.{os.environ['GITHUB_SERVER_URL']}/.extraheader")
    runtime.output(ref=runtime.given("ref"), commit=git(target, "rev-parse", "HEAD"))


def double(target: Path) -> None:
    """Hand out the double of CML; or, where REHEARSAL_CML names a checkout of the original, a copy of that one.

    The original calls https of any host but github.com, and a forge speaks http: that line is changed in the copy.
    """
    folder = os.environ.get("REHEARSAL_CML", "")
    if folder and not Path(folder).is_dir():
        runtime.fail(f"{CML} could not be fetched: there is no {folder}")
    shutil.copytree(folder or Path(os.environ["REHEARSAL_ROOT"], "rehearsal", "runner", "actions", "cml"), target)
    if folder:
        driver = target / "src" / "drivers" / "github.js"
        text = driver.read_text(encoding="utf-8")
        driver.write_text(text.replace("`https://${host}/api/v3`", "process.env.GITHUB_API_URL"), encoding="utf-8")


def fetch(target: Path, ref: str, *, own: bool) -> tuple[str, str]:
    """Get what was asked for: the commit to check out, and the branch that it is on.

    Without a ref it is the commit of the run, or of another repository the head of its default branch.
    """
    wanted = ref or (os.environ["GITHUB_REF"] if own else "HEAD")
    sha = wanted if _SHA.fullmatch(wanted) else os.environ["GITHUB_SHA"] if own and not ref else ""
    depth = int(runtime.given("fetch-depth") or 1)
    if depth == 0:
        git(target, "fetch", "--quiet", "origin", "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
    if depth or not sha or not has(target, sha):
        shallow = [f"--depth={depth}"] if depth else []
        tags = [] if runtime.is_on("fetch-tags") else ["--no-tags"]
        git(target, "fetch", "--quiet", *shallow, *tags, "origin", sha or wanted)
    found = sha or git(target, "rev-parse", "FETCH_HEAD^{commit}")
    branch = branch_of(target, wanted)
    if branch:
        git(target, "update-ref", f"refs/remotes/origin/{branch}", found)
    return found, branch


def branch_of(target: Path, wanted: str) -> str:
    """The branch that a ref names; empty for tags, SHAs and pull requests."""
    if wanted.startswith("refs/heads/"):
        return wanted.removeprefix("refs/heads/")
    if wanted.startswith("refs/") or wanted == "HEAD" or _SHA.fullmatch(wanted):
        return ""
    return wanted if git(target, "ls-remote", "origin", f"refs/heads/{wanted}") else ""


def login(target: Path, token: str) -> None:
    """Give git the token, as GitHub's action does."""
    word = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    git(target, "config", f"http.{os.environ['GITHUB_SERVER_URL']}/.extraheader", f"AUTHORIZATION: basic {word}")


def has(target: Path, sha: str) -> bool:
    """The commit is there."""
    return subprocess.run(["git", "cat-file", "-e", sha], check=False, cwd=target, capture_output=True).returncode == 0


def git(target: Path, *arguments: str) -> str:
    """What git says; ends the step when it fails."""
    variables = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    done = subprocess.run(["git", *arguments], check=False, cwd=target, env=variables, capture_output=True, text=True)
    if done.returncode:
        runtime.fail(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


if __name__ == "__main__":
    main()
