"""The files in .github are pinned and bounded, and hold no more rights than each of them needs and says why."""

import ast
import inspect
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from uv import find_uv_bin

from ratchet import cml, scope
from ratchet.cli import cli

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SCAN = ROOT / ".github" / "scan" / "compose.yaml"
DEPENDABOT = ROOT / ".github" / "dependabot.yml"
ACTIONS = sorted((ROOT / ".github" / "actions").glob("*/action.yml"))
# Branch protection waits for what these say, so they answer for every pull request.
REQUIRED = ["ci.yml", "report.yml"]
SLIM = "--only-group forge"

files = pytest.mark.parametrize("path", [*WORKFLOWS, *ACTIONS], ids=lambda path: path.relative_to(ROOT).as_posix())
workflows = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


def load(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text()))


def triggers(path: Path) -> dict[str, Any]:
    """What stands under `on:`, which YAML 1.1 reads as a truth value."""
    return {name: value or {} for name, value in yaml.safe_load(path.read_text())[True].items()}


def steps(path: Path) -> list[dict[str, Any]]:
    content = load(path)
    if "runs" in content:
        return list(content["runs"]["steps"])
    return [step for job in content["jobs"].values() for step in job["steps"]]


def uses(path: Path) -> list[str]:
    return re.findall(r"^\s*(?:- )?uses: (.+)$", path.read_text(), flags=re.MULTILINE)


def linted(*command: str, text: str | None = None) -> str:
    """What a linter of this environment prints about the repository, and that it failed if it did."""
    programs = Path(sys.executable).parent
    done = subprocess.run(
        [programs / command[0], *command[1:]],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},  # actionlint looks for shellcheck
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr + ("" if done.returncode == 0 else f"exit code {done.returncode}")


def slim_commands() -> dict[str, click.Command]:
    """What the jobs call that install the group `forge` alone, by name: `deploy plan`."""
    jobs = [job for path in WORKFLOWS for job in load(path)["jobs"].values()]
    slim = [job for job in jobs if any(step.get("with", {}).get("groups") == SLIM for step in job["steps"])]
    inside = [step for job in slim for step in job["steps"]] + [step for path in ACTIONS for step in steps(path)]
    lines = re.findall(r"python -m ratchet (.+)", "\n".join(step.get("run", "") for step in inside))
    words = [line.split() for line in lines if not line.startswith('"$ACTION"')]
    return dict(command(cli, *each) for each in [*words, ["accept"], ["adopt"], ["refresh"]])


def command(group: click.Command, *words: str) -> tuple[str, click.Command]:
    """The command that words begin with, and its name."""
    names = []
    while isinstance(group, click.Group):
        names.append(words[len(names)])
        group = group.commands[names[-1]]
    return " ".join(names), group


def imports(command: click.Command) -> list[str]:
    """The lines by which a command imports something when it runs."""
    assert command.callback
    tree = ast.parse(textwrap.dedent(inspect.getsource(command.callback)))
    return [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]


class TestLinters:
    """What the field's linters say."""

    def test_actionlint_finds_nothing(self) -> None:
        """Syntax, expressions, the shell in `run:` and the inputs of local actions are as GitHub reads them."""
        assert linted("actionlint", "-no-color") == ""

    def test_zizmor_finds_nothing_even_when_pedantic(self) -> None:
        """No known way to attack a workflow is open, and no code smell is left."""
        assert linted(
            "zizmor", "--offline", "--persona=pedantic", "--quiet", "--no-progress", "--color=never", ".github"
        ).startswith("No findings to report.")

    @pytest.mark.parametrize(
        ("schema", "paths"),
        [
            (["--builtin-schema", "vendor.github-workflows"], WORKFLOWS),
            (["--builtin-schema", "vendor.github-actions"], ACTIONS),
            (["--builtin-schema", "vendor.dependabot"], [DEPENDABOT]),
            (["--schemafile", ".github/dependabot.schema.json"], [DEPENDABOT]),
            (["--builtin-schema", "vendor.compose-spec"], [SCAN]),
        ],
        ids=["workflows", "actions", "dependabot", "ecosystems", "compose"],
    )
    def test_every_file_fits_its_schema(self, schema: list[str], paths: list[Path]) -> None:
        """SchemaStore's, and ours of what Dependabot refuses in one ecosystem and takes in another."""
        assert linted("check-jsonschema", "--quiet", *schema, *map(str, paths)) == ""

    @pytest.mark.parametrize(
        ("ecosystem", "keys"),
        [
            ("docker-compose", {"cooldown": {"default-days": 7, "semver-major-days": 30}}),
            ("github-actions", {"cooldown": {"default-days": 7, "semver-minor-days": 14}}),
            ("uv", {"groups": {"python": {"dependency-type": "production"}}}),
            ("uv", {"groups": {"python3": {"patterns": ["*"]}}}),
            ("npm", {"allow": [{"dependency-type": "indirect"}]}),
            ("docker", {"allow": [{"dependency-type": "development"}]}),
            ("github-actions", {"commit-message": {"prefix": "ci", "prefix-development": "dev"}}),
            ("uv", {"insecure-external-code-execution": "allow"}),
            ("npm", {"vendor": True}),
            ("docker-compose", {"versioning-strategy": "increase"}),
            ("github-actions", {"directory": "/.github/actions/*"}),
        ],
    )
    def test_a_key_that_voids_the_file_is_found(self, tmp_path: Path, ecosystem: str, keys: dict[str, Any]) -> None:
        """GitHub would refuse all of dependabot.yml for it; SchemaStore's schema does not know the ecosystems."""
        update = {"package-ecosystem": ecosystem, "directory": "/", "schedule": {"interval": "weekly"}, **keys}
        path = tmp_path / "dependabot.yml"
        path.write_text(yaml.safe_dump({"version": 2, "updates": [update]}))

        said = linted("check-jsonschema", "--schemafile", ".github/dependabot.schema.json", str(path))

        assert "dependabot.yml::$.updates[0]" in said

    def test_shellcheck_finds_nothing(self) -> None:
        """Every shell script of the repository is clean."""
        listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.sh", ".ci/run"]
        scripts = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()

        assert {".ci/run", ".github/packages.sh"} <= set(scripts)
        assert linted("shellcheck", *scripts) == ""

    @pytest.mark.parametrize("path", ACTIONS, ids=lambda path: path.parent.name)
    def test_shellcheck_finds_nothing_in_actions(self, path: Path) -> None:
        """The shell in an action's `run:`, at which actionlint does not look, is clean."""
        for step in steps(path):
            assert linted("shellcheck", "--shell=bash", "-", text=step.get("run", "")) == ""

    def test_what_a_linter_shall_ignore_has_its_reason_beside_it(self) -> None:
        """An ignore stands behind a comment, or has words behind it in its own line; a disabled rule follows one."""
        for path in [*WORKFLOWS, *ACTIONS, ROOT / ".github" / "zizmor.yml"]:
            lines = path.read_text().splitlines()
            for before, line in zip(["", *lines], lines, strict=False):
                if "zizmor: ignore" in line or "disable: true" in line:
                    assert re.search(r"ignore\[[\w-]+\] \w+", line) or before.strip().startswith("# "), line


class TestThirdParties:
    """What others wrote."""

    @files
    def test_what_others_wrote_is_pinned(self, path: Path) -> None:
        """An action is the repository's own, or pinned by its commit with the version beside it."""
        for reference in uses(path):
            assert re.fullmatch(
                r"\./\.github/actions/\w+|[\w-]+/[\w-]+(/\w+)?@[0-9a-f]{40} # v\d+\.\d+\.\d+", reference
            )

    def test_what_scans_is_pinned_and_sees_the_image_alone(self) -> None:
        """By digest; nothing but the archive is mounted, and what needs no network has none."""
        services = yaml.safe_load(SCAN.read_text())["services"]

        assert {each["image"].partition("@sha256:")[2][:8] for each in services.values()} == {"62b1e65e"}
        assert {tuple(each["volumes"]) for each in services.values()} == {("../../build/scan:/scan:ro",)}
        assert [name for name, each in services.items() if each.get("network_mode") != "none"] == ["vulnerabilities"]

    def test_beside_a_token_that_writes_packages_nothing_is_pulled_by_a_tag(self) -> None:
        """The builder is pinned by digest, and what scans is in a job that reads."""
        jobs = load(ROOT / ".github" / "workflows" / "release.yml")["jobs"]
        (name,) = [name for name, job in jobs.items() if job["permissions"].get("packages") == "write"]
        (options,) = [
            step["with"]["driver-opts"] for step in jobs[name]["steps"] if "setup-buildx" in step.get("uses", "")
        ]

        assert re.fullmatch(r"image=moby/buildkit:v[\d.]+@sha256:[0-9a-f]{64}", options)
        assert not any("scan/compose" in step.get("run", "") for step in jobs[name]["steps"])
        assert set(jobs["scan"]["permissions"].values()) == {"read"}

    def test_an_action_has_one_version(self) -> None:
        """Two files never run two versions of the same action."""
        pins = {reference for path in [*WORKFLOWS, *ACTIONS] for reference in uses(path) if "@" in reference}

        assert len({reference.split("@")[0] for reference in pins}) == len(pins)

    def test_own_actions_exist(self) -> None:
        """A reference to an action of this repository names a folder with an action in it."""
        own = {reference for path in WORKFLOWS for reference in uses(path) if reference.startswith("./")}

        assert own == {"./.github/actions/setup"}
        assert all((ROOT / name / "action.yml").is_file() for name in own)

    def test_dependabot_looks_everywhere_and_waits(self) -> None:
        """Actions in every folder that has some, Python, npm, what hosts run: none on the day of its release."""
        updates = load(DEPENDABOT)["updates"]
        places = {(update["package-ecosystem"], where) for update in updates for where in _directories(update)}

        assert places == {
            ("github-actions", "/"),
            ("github-actions", "/.github/actions/*"),
            ("uv", "/"),
            ("npm", "/rehearsal"),
            ("docker-compose", "/deploy"),
            ("docker-compose", "/.github/scan"),
        }
        assert all(update["cooldown"]["default-days"] >= 7 for update in updates)


def _directories(update: dict[str, Any]) -> list[str]:
    return list(update.get("directories", [])) or [update["directory"]]


class TestRights:
    """What a job may do."""

    @workflows
    def test_a_workflow_grants_nothing_to_all_its_jobs(self, path: Path) -> None:
        """At the top stands `permissions: {}`; each job names its own."""
        assert load(path)["permissions"] == {}
        assert [name for name, job in load(path)["jobs"].items() if not isinstance(job.get("permissions"), dict)] == []

    @workflows
    def test_each_permission_says_what_for(self, path: Path) -> None:
        """Behind every permission of a job stands why it needs it."""
        granted = sum(len(job["permissions"]) for job in load(path)["jobs"].values())
        lines = re.findall(r"^      [a-z-]+: (?:read|write)\b.*$", path.read_text(), flags=re.MULTILINE)

        assert len(lines) == granted
        assert [line for line in lines if not re.search(r": (read|write) # \w+", line)] == []

    @pytest.mark.parametrize("name", REQUIRED)
    def test_what_runs_a_proposals_code_can_only_read(self, name: str) -> None:
        """Jobs that run what a pull request brings hold a token that reads contents, and no secret."""
        content = load(ROOT / ".github" / "workflows" / name)

        assert {right for job in content["jobs"].values() for right in job["permissions"].items()} == {
            ("contents", "read")
        }

    @workflows
    def test_no_secret_is_needed(self, path: Path) -> None:
        """A fresh repository has none: the job's own token is all that a workflow asks for."""
        assert "secrets." not in path.read_text()

    @workflows
    def test_no_checkout_leaves_its_token_behind(self, path: Path) -> None:
        """What runs later cannot read the token from git's configuration."""
        checkouts = [step for step in steps(path) if step.get("uses", "").startswith("actions/checkout@")]

        assert [step["with"]["persist-credentials"] for step in checkouts] == [False] * len(checkouts)

    @pytest.mark.parametrize(
        "path", [path for path in WORKFLOWS if "workflow_run" in triggers(path)], ids=lambda path: path.name
    )
    def test_what_runs_after_a_pull_requests_run_checks_out_main_alone(self, path: Path) -> None:
        """A workflow that has a write token for a fork's sake names no other commit; of others CML alone, pinned."""
        found = [step for step in steps(path) if step.get("uses", "").startswith("actions/checkout@")]
        checkouts = [step for step in found if step["with"].get("repository") != cml.REPOSITORY]

        assert len(checkouts) > 0
        assert {step["with"]["ref"] for step in found if step not in checkouts} <= {cml.COMMIT}
        assert [key for step in checkouts for key in step["with"] if key != "persist-credentials"] == []

    @files
    def test_no_expression_is_pasted_into_a_script(self, path: Path) -> None:
        """What an event says reaches a shell through its environment, where it cannot become code."""
        assert [step["run"] for step in steps(path) if "${{" in step.get("run", "")] == []


class TestBounds:
    """When a job runs, and for how long."""

    @workflows
    def test_every_job_ends(self, path: Path) -> None:
        """Each job has a time limit of at most an hour."""
        assert [name for name, job in load(path)["jobs"].items() if not 0 < job.get("timeout-minutes", 0) <= 60] == []

    @workflows
    def test_what_may_fail_may_hang_and_leaves_time_for_what_does_without(self, path: Path) -> None:
        """When the steps that may fail run into their limits, the others of the job still have two minutes.

        A step that waits for the success of another such step is skipped then, and needs no time of its own.
        """
        for job in load(path)["jobs"].values():
            may_fail = [step for step in job["steps"] if step.get("continue-on-error") is True]
            waiting = {f"${{{{ steps.{step['id']}.outcome == 'success' }}}}" for step in may_fail if "id" in step}
            limits = [step.get("timeout-minutes", 60) for step in may_fail if step.get("if") not in waiting]
            assert sum(limits) + 2 <= job["timeout-minutes"]
            assert all("timeout-minutes" in step for step in may_fail)

    @workflows
    def test_every_workflow_says_what_waits_for_what(self, path: Path) -> None:
        """Each has a concurrency group, and says whether a newer run ends an older one."""
        assert set(load(path)["concurrency"]) == {"group", "cancel-in-progress"}

    @pytest.mark.parametrize("name", REQUIRED)
    def test_required_workflows_leave_nothing_out(self, name: str) -> None:
        """A required workflow runs for every pull request: a filter would leave its status waiting for ever."""
        events = triggers(ROOT / ".github" / "workflows" / name)

        assert events["pull_request"] == {}
        assert "workflow_dispatch" in events

    def test_the_closing_job_waits_for_all(self) -> None:
        """The job `ci` needs every other one that checks, and runs also when one of them did not succeed."""
        jobs = load(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]

        assert set(jobs["ci"]["needs"]) == set(jobs) - {"ci", "environments"}
        assert jobs["ci"]["if"].startswith("always() && ")

    def test_a_job_that_a_proposal_skips_may_be_skipped_then_and_no_other(self) -> None:
        """What `ratchet scope` allows to be skipped is what it makes ci.yml skip; without an answer that is nothing."""
        jobs = load(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]
        (green,) = [step["with"] for step in jobs["ci"]["steps"]]

        assert green["allowed-skips"] == "${{ needs.scope.outputs.skips }}"
        conditional = {name: job["if"] for name, job in jobs.items() if "needs." in job.get("if", "")}
        assert conditional == dict.fromkeys(scope.of([], None).skips, "needs.scope.outputs.framework == 'true'")
        assert scope.of(None, None).skips == ()

    @workflows
    def test_every_job_names_its_machine_with_its_version(self, path: Path) -> None:
        """`ubuntu-latest` becomes another system without a commit; a repository's own runner is for what trains."""
        named = {job["runs-on"] for job in load(path)["jobs"].values()} - {"ubuntu-24.04"}

        assert [said for said in named if not said.endswith("vars.TRAINING_RUNNER || 'ubuntu-24.04' }}")] == []
        assert named == set() or path.name in {"report.yml", "release.yml", "drift.yml"}

    def test_no_commit_is_told_to_start_nothing(self) -> None:
        """The words that make GitHub skip workflows travel into a merge and cancel its release: nothing writes them."""
        words = re.compile(r"\[(skip ci|ci skip|no ci|skip actions|actions skip)\]|^skip-checks: *true", re.MULTILINE)
        places = [
            path
            for name in (".github", "src/ratchet", "pipelines")
            for path in (ROOT / name).rglob("*")
            if path.is_file()
        ]

        assert [path for path in places if path.suffix != ".pyc" and words.search(path.read_text())] == []


class TestCaches:
    """Who keeps packages, and who takes them."""

    def set_up(self, path: Path) -> list[tuple[dict[str, Any], dict[str, str]]]:
        """Each job of a workflow that sets up, with what it asks for."""
        return [
            (job, step.get("with", {}))
            for job in load(path)["jobs"].values()
            for step in job["steps"]
            if step.get("uses") == "./.github/actions/setup"
        ]

    @workflows
    def test_a_job_that_writes_takes_nothing_from_a_cache(self, path: Path) -> None:
        """What uv downloads it checks by the lock's hashes, and trusts what its cache holds."""
        readers = [job for job, asked in self.set_up(path) if "cache" in asked]

        assert {level for job in readers for level in job["permissions"].values()} <= {"read"}

    def test_main_alone_keeps_packages_for_all_who_read(self) -> None:
        """One entry for each choice of groups, by ci.yml on the push to the default branch."""
        asked = [each for path in WORKFLOWS for each in self.set_up(path)]
        ((job, writer),) = [(job, given) for job, given in asked if given.get("cache") == "write"]
        read = {given.get("groups", "") for _, given in asked if given.get("cache") == "read"}

        assert job in load(ROOT / ".github" / "workflows" / "ci.yml")["jobs"].values()
        assert job["if"] == "github.event_name == 'push' && github.ref_name == github.event.repository.default_branch"
        assert writer["groups"] == "${{ matrix.groups }}"
        assert set(job["strategy"]["matrix"]["groups"]) == read


class TestUv:
    """The script that installs uv."""

    SCRIPT = Path(".github", "actions", "setup", "uv.sh")

    def install(self, root: Path, lock: str) -> subprocess.CompletedProcess[str]:
        """Run it in a repository with that lock, where no uv is on PATH."""
        (root / self.SCRIPT.parent).mkdir(parents=True)
        shutil.copy(ROOT / self.SCRIPT, root / self.SCRIPT)
        (root / "uv.lock").write_text(lock)
        python = f"{Path(sys.base_prefix, 'bin')}:/usr/bin:/bin"
        environment = {**os.environ, "PATH": python, "GITHUB_OUTPUT": ""}
        command = [root / self.SCRIPT, root / "uv"]
        return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)

    def test_uv_is_the_one_of_the_lock(self, tmp_path: Path) -> None:
        """The version of uv.lock, by the hashes that stand there."""
        lock = (ROOT / "uv.lock").read_text()

        done = self.install(tmp_path, lock)

        assert done.returncode == 0, done.stderr
        said = subprocess.run([tmp_path / "uv/bin/uv", "--version"], capture_output=True, text=True, check=True).stdout
        (version,) = re.findall(r'^name = "uv"\nversion = "(.+)"$', lock, re.MULTILINE)
        assert said.startswith(f"uv {version} ")

    def test_a_uv_with_another_hash_is_not_installed(self, tmp_path: Path) -> None:
        """Whatever the index gives."""
        done = self.install(tmp_path, re.sub(r"sha256:[0-9a-f]{8}", "sha256:00000000", (ROOT / "uv.lock").read_text()))

        assert done.returncode == 1
        assert "DO NOT MATCH THE HASHES" in done.stderr
        assert not (tmp_path / "uv" / "bin").exists()


class TestPackages:
    """The script that installs what a few tests need, with programs that only say how they are called."""

    @pytest.fixture
    def machine(self, tmp_path: Path) -> Path:
        """A folder that is all of PATH: nothing is installed, sudo asks for no password."""
        told = f'echo "$(basename "$0") $*" >> {tmp_path}/told\n'
        programs = {"apt-get": told, "sudo": f'{told}[ "$1" = --non-interactive ] || exec "$@"\n', "id": "echo 1000\n"}
        for name, text in programs.items():
            self.program(tmp_path, name, text)
        for name in ("bash", "basename", "env"):
            (tmp_path / name).symlink_to(str(shutil.which(name)))
        return tmp_path

    def program(self, machine: Path, name: str, text: str) -> None:
        """Put one there."""
        (machine / name).write_text(f"#!/usr/bin/env bash\n{text}")
        (machine / name).chmod(0o755)

    def told(self, machine: Path, **variables: str) -> list[str]:
        """What the script has called."""
        environment = {"PATH": str(machine), **variables}
        subprocess.run([ROOT / ".github" / "packages.sh"], env=environment, check=True, capture_output=True, text=True)
        return (machine / "told").read_text().splitlines() if (machine / "told").exists() else []

    def test_on_a_runner_it_installs_what_is_missing(self, machine: Path) -> None:
        """By sudo; what needs root in the tests themselves is left out."""
        self.program(machine, "chromium", "")

        assert [line for line in self.told(machine) if line.startswith("apt-get")] == [
            "apt-get update -qq",
            "apt-get install -qq --yes --no-install-recommends prometheus",
        ]

    def test_as_root_it_installs_what_builds_images_too(self, machine: Path) -> None:
        """Without sudo."""
        self.program(machine, "id", "echo 0\n")

        assert self.told(machine) == [
            "apt-get update -qq",
            "apt-get install -qq --yes --no-install-recommends chromium prometheus buildah mmdebstrap skopeo",
        ]

    def test_where_nothing_is_missing_it_does_nothing(self, machine: Path) -> None:
        """The lists of packages are not even fetched."""
        for name in ("chromium", "prometheus"):
            self.program(machine, name, "")

        assert [line for line in self.told(machine) if line.startswith("apt-get")] == []

    def test_a_rehearsal_leaves_the_machine_alone(self, machine: Path) -> None:
        """Of root, too."""
        self.program(machine, "id", "echo 0\n")

        assert self.told(machine, ACT="true") == []

    def test_where_sudo_asks_for_a_password_it_does_nothing(self, machine: Path) -> None:
        """The tests are skipped there, and say so."""
        self.program(machine, "sudo", "exit 1\n")

        assert self.told(machine) == []

    def test_both_who_run_the_tests_call_it(self) -> None:
        """GitHub's CI and any other."""
        ci = [step.get("run") for step in steps(ROOT / ".github" / "workflows" / "ci.yml")]

        assert ci.count(".github/packages.sh") == 1
        assert "\n.github/packages.sh\n" in (ROOT / ".ci" / "run").read_text()


class TestRelease:
    """What release.yml hands on."""

    def test_rows_of_the_holdout_are_kept_for_a_day(self) -> None:
        """The job after next reads them; anybody who may see the run could, and columns may be private."""
        (upload,) = [
            step["with"]
            for step in steps(ROOT / ".github" / "workflows" / "release.yml")
            if "upload-artifact" in step.get("uses", "") and step["with"]["name"] == "candidate"
        ]

        assert upload["retention-days"] == 1

    def test_the_registry_is_the_one_that_is_logged_in_to(self) -> None:
        """The image is called after it, where it is pushed and where it is taken from."""
        text = (ROOT / ".github" / "workflows" / "release.yml").read_text()

        assert text.count("vars.IMAGE_REGISTRY || 'ghcr.io'") == text.count("ghcr.io") == 2
        assert "      IMAGE_REGISTRY: ${{ vars.IMAGE_REGISTRY || 'ghcr.io' }}" in text
        assert "registry: ${{ env.IMAGE_REGISTRY }}" in text


class TestVerbs:
    """What the workflows call."""

    def test_every_verb_that_a_workflow_calls_exists(self) -> None:
        """`python -m ratchet VERB` in a workflow names a command of the command line."""
        called = {
            verb
            for path in [*WORKFLOWS, *ACTIONS]
            for step in steps(path)
            for verb in re.findall(r"python -m ratchet ([a-z][a-z-]*)", step.get("run", ""))
        }

        assert {"evidence", "judge", "settle", "comment", "release"} <= called
        assert called - set(cli.commands) == set()

    def test_what_a_maintainer_can_choose_exists(self) -> None:
        """Each choice of maintainer.yml is a command of the command line."""
        choices = triggers(ROOT / ".github" / "workflows" / "maintainer.yml")["workflow_dispatch"]["inputs"]["action"]

        assert choices["options"] == ["accept", "adopt", "refresh"]
        assert set(choices["options"]) - set(cli.commands) == set()

    def test_the_jobs_that_write_find_what_they_import(self, tmp_path: Path) -> None:
        """The group `forge` alone, which those jobs install, is enough for what their verbs import when they run.

        So it is for what a host needs: `ratchet deploy apply` and `ratchet status`.
        """
        found = slim_commands()
        assert set(found) == {
            *("accept", "adopt", "refresh", "scope", "settle", "link", "cml", "comment"),
            *("release", "refuse", "rollback"),
            *("deploy plan", "deploy promote", "drift answer", "selftest ask", "selftest comment"),
        }
        lines = {line for each in found.values() for line in imports(each)}
        assert {"from ratchet.deploy import branch", "from ratchet.retraining import answer"} <= lines
        lines |= {f"import {name}" for name in ("httpx", "jsonschema", "ratchet.cli", "ratchet.report.markdown")}
        lines |= {f"import ratchet.{name}" for name in ("deploy.branch", "deploy.compose", "ledger", "status")}
        for name in ("pyproject.toml", "uv.lock", ".python-version"):
            shutil.copy(ROOT / name, tmp_path / name)
        environment = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(tmp_path / ".venv"), "PYTHONPATH": str(ROOT / "src")}
        group = [find_uv_bin(), "sync", "--frozen", "--quiet", "--only-group", "forge"]
        subprocess.run(group, cwd=tmp_path, env=environment, check=True)

        done = subprocess.run(
            [tmp_path / ".venv" / "bin" / "python", "-c", "\n".join(sorted(lines))],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

        assert done.stderr == ""

    def test_the_jobs_that_train_and_judge_find_what_they_import(self, tmp_path: Path) -> None:
        """The group `pipeline` is enough for every module but that of the service, which release.yml has besides."""
        for name in ("pyproject.toml", "uv.lock", ".python-version"):
            shutil.copy(ROOT / name, tmp_path / name)
        environment = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(tmp_path / ".venv"), "PYTHONPATH": str(ROOT / "src")}
        group = [find_uv_bin(), "sync", "--frozen", "--quiet", "--no-default-groups", "--group", "pipeline"]
        subprocess.run([*group, "--no-install-project"], cwd=tmp_path, env=environment, check=True)
        folder = ROOT / "src" / "ratchet"
        names = [path.relative_to(folder.parent).with_suffix("") for path in sorted(folder.rglob("*.py"))]
        lines = [f"import {'.'.join(name.parts)}" for name in names if name.name not in {"__main__", "__init__"}]
        lines.remove("import ratchet.serving.service")
        lines.remove("import ratchet.serving.start")

        done = subprocess.run(
            [tmp_path / ".venv" / "bin" / "python", "-c", "\n".join(lines)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

        assert done.stderr == ""


class TestCML:
    """The job `comment`."""

    JOB = load(ROOT / ".github" / "workflows" / "verdict.yml")["jobs"]["comment"]

    def test_it_turns_nothing_red_and_nothing_waits_for_it(self) -> None:
        """Whatever becomes of CML, the last step writes the comment."""
        jobs = load(ROOT / ".github" / "workflows" / "verdict.yml")["jobs"]
        *before, last = self.JOB["steps"]

        assert [name for name, job in jobs.items() if "comment" in job.get("needs", ())] == []
        assert self.JOB["continue-on-error"] is True
        assert self.JOB["timeout-minutes"] == 3
        assert cml.SECONDS < 60  # so that it says itself that it takes too long
        assert "if" not in last
        assert [step["continue-on-error"] for step in before if "if" in step] == [True] * 4

    def test_it_takes_the_pinned_commit_and_runs_none_of_its_scripts(self) -> None:
        """What its own lock names is installed where no token is; then it writes, and main's code looks."""
        checkout, _, install, write, last = self.JOB["steps"][-5:]

        assert (checkout["with"]["repository"], checkout["with"]["ref"]) == (cml.REPOSITORY, cml.COMMIT)
        assert install["run"].startswith("npm ci --omit=dev --ignore-scripts ")
        assert "env" not in install
        assert write["run"].startswith("python -m ratchet cml ")
        assert last["run"].startswith("python -m ratchet comment ")

    def test_a_variable_switches_it_off(self) -> None:
        """Then nothing of it is fetched, and the comment says nothing of it."""
        checkout, _, _, _, last = self.JOB["steps"][-5:]

        assert checkout["if"] == "${{ vars.CML != 'off' }}"
        assert last["env"]["CML"] == "${{ vars.CML == 'off' && 'off' || steps.cml.outcome }}"
