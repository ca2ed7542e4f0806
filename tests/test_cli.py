"""The command line, driven as a person does: help with examples, plain errors, exit codes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import click
import numpy as np
import pandas as pd
import pytest
from uv import find_uv_bin

from forge_example import desk
from outputs_example import build
from ratchet import bundle, cml, data, files, ledger
from ratchet.cli import cli, main
from rehearsal.forge import Forge as Server
from rehearsal.project import PARAMS
from settle_example import Place

pytestmark = pytest.mark.xdist_group("outputs")

ROOT = Path(__file__).parents[1]
VERBS = [
    *("tune", "accept-revision", "digest", "track", "registry", "score", "compare"),
    *("scope", "evidence", "judge", "settle", "link", "cml", "comment", "accept", "adopt", "refresh"),
    *("candidate", "image", "smoke", "release", "refuse"),
    *("deploy", "rollback"),
    *("drift", "backtest", "status", "audit", "outcomes", "doctor", "selftest"),
]
TALKING = {
    "evidence": [],
    "judge": ["--run", "1"],
    "settle": [],
    "comment": ["--pr", "1", "comment.md"],
    "accept": ["1", "--reason", "why"],
    "adopt": ["1", "--reason", "why"],
    "refresh": ["1", "--reason", "why"],
    "candidate": [],
    "release": [],
    "refuse": ["--job", "candidate=failure"],
    "deploy": ["plan", "--strategy", "canary"],
    "rollback": ["--reason", "why"],
    "status": [],
    "audit": ["model-v1"],
    "doctor": [],
    "selftest": ["ask"],
}
"""Verbs that talk to GitHub, with what they cannot do without."""
TOKEN = {"GITHUB_TOKEN": "t"}


def ratchet(*arguments: str | Path, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the program; the problems under tests/ are importable."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests" / "problems"), "COLUMNS": "100", **variables}
    command = [sys.executable, "-m", "ratchet", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def is_told(done: subprocess.CompletedProcess[str]) -> bool:
    """Exit code 2, one to three lines on standard error, no traceback."""
    lines = done.stderr.splitlines()
    return done.returncode == 2 and 1 <= len(lines) <= 3 and lines[0].startswith("error: ")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weak and a good model, tested on the same month; their problem and parameters beside them."""
    root = tmp_path_factory.mktemp("folders")
    shutil.copytree(ROOT / "tests" / "problems" / "toy_coins", root / "src" / "toy_coins")
    build(root / "weak", ["2013-02", "2013-03"], "stump")
    build(root / "good", ["2013-01", "2013-02", "2013-03"])
    shutil.copy(PARAMS, root)
    return root


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environments of bundles in a folder of their own; downloads where uv has them."""
    found = subprocess.run([find_uv_bin(), "cache", "dir"], capture_output=True, text=True, check=True)
    return {"XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache")), "UV_CACHE_DIR": found.stdout.strip()}


def march(folders: Path) -> Path:
    """Rows that were ingested."""
    return folders / "good" / data.PERIODS / "2013-03" / "rows.parquet"


class TestHelp:
    """What a newcomer reads."""

    def test_the_verbs_stand_in_the_order_of_the_loop(self) -> None:
        """From tuning a model to judging it."""
        listed = ratchet("--help").stdout.partition("Commands:\n")[2]

        assert re.findall(r"^  ([a-z-]+) ", listed, re.MULTILINE) == VERBS

    @pytest.mark.parametrize("verb", VERBS)
    def test_every_verb_has_an_example_of_itself(self, verb: str) -> None:
        """On a line of its own, calling this very verb, after a sentence that says what it does."""
        help_text = click.Context(cli.commands[verb], info_name=verb).get_help()

        assert re.search(rf"^  Example: .*ratchet {verb}\b", help_text, re.MULTILINE)
        assert cli.commands[verb].help.splitlines()[0].endswith(".")

    def test_every_option_says_what_it_does(self) -> None:
        """No option without help."""
        silent = [
            (verb, option.name)
            for verb, command in cli.commands.items()
            for option in command.params
            if isinstance(option, click.Option) and not option.help
        ]

        assert silent == []

    @pytest.mark.parametrize("arguments", [["-h"], ["--help"], ["compare", "-h"], ["compare", "--help"]])
    def test_help_is_no_error(self, arguments: list[str]) -> None:
        """On standard output, exit code 0."""
        done = ratchet(*arguments)

        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("Usage: ratchet ")

    def test_the_version_is_that_of_the_package(self) -> None:
        """One line."""
        assert re.fullmatch(r"ratchet, version \d+\.\d+\.\d+\n", ratchet("--version").stdout)

    def test_help_loads_nothing_heavy(self) -> None:
        """Neither pandas nor anything that needs it is imported before a verb needs it: help answers at once."""
        heavy = ("pandas", "numpy", "sklearn", "mlflow", "dvc", "github", "jsonschema")
        program = f"import sys, ratchet.cli; print([name for name in {heavy} if name in sys.modules])"

        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

        assert done.stdout == "[]\n"


class TestErrors:
    """One to three lines on standard error, exit code 2, nothing on standard output, never a traceback."""

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["digest", "nothing"], "nothing: is neither a bundle"),
            (["score", "nothing", "rows.csv"], "nothing: is neither a bundle"),
            (["score", "params.yaml", "rows.csv"], "params.yaml: is neither a bundle"),
            (["compare", "nothing", "good"], "nothing: is neither a bundle"),
            (["compare", "good", "nothing"], "nothing: is neither a bundle"),
            (["compare", "weak", "good", "--policy", "nothing.yaml"], "nothing.yaml: cannot be read: No such file"),
            (["compare", "weak", "good", "--rows", "nothing.parquet"], "nothing.parquet: does not exist"),
            (["compare", "weak", "good", "--rows", "params.yaml"], "params.yaml: is not a readable Parquet file"),
            (["compare", "weak", "good", "--look", "0"], "look"),
            (["score", "good", "rows.xlsx"], "rows.xlsx: is of no known kind; name a .parquet, .csv or .jsonl file"),
            (["score", "good", "rows.csv"], "rows.csv: cannot be read"),
            (["accept-revision", "2013-01"], "params.yaml: problem: there is no folder src/flights/"),
            (["tune"], "data/dataset.json: cannot be read: No such file or directory"),
            (["track", "good"], "good/params.yaml: cannot be read"),
        ],
    )
    def test_what_cannot_be_done_is_told(self, arguments: list[str], message: str, folders: Path) -> None:
        """The thing that is wrong is named first."""
        done = ratchet(*arguments, cwd=folders)

        assert is_told(done), done.stderr
        assert message in done.stderr
        assert done.stdout == ""

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["scroe", "a", "b"], "No such command 'scroe'"),
            (["score", "a"], "Missing argument 'ROWS'"),
            (["compare", "a", "b", "--lok", "1"], "No such option '--lok'"),
            (["compare", "a", "b", "--look", "x"], "'x' is not a valid integer"),
            (["score", "a", "."], "File '.' is a directory"),
            (["judge"], "Missing option '--run'"),
            (["judge", "--run", "x"], "'x' is not a valid integer"),
            (["comment", "a.md"], "Missing option '--pr'"),
            (["comment", "--pr", "1"], "Missing argument 'FILE'"),
            (["accept", "12"], "Missing option '--reason'"),
            (["adopt", "--reason", "why"], "Missing argument 'NUMBER'"),
            (["refresh", "twelve", "--reason", "why"], "'twelve' is not a valid integer"),
        ],
    )
    def test_a_wrong_call_shows_the_right_one(self, arguments: list[str], message: str, folders: Path) -> None:
        """Usage, and what is wrong; exit code 2 as well."""
        done = ratchet(*arguments, cwd=folders)

        assert done.returncode == 2
        assert done.stderr.startswith("Usage: ratchet ")
        assert message in done.stderr
        assert "Traceback" not in done.stderr

    @pytest.mark.parametrize("verb", [["tune"], ["registry"], ["compare", "weak", "good"]])
    @pytest.mark.parametrize(
        ("text", "message"),
        [("gate: [", "params.yaml: is not valid YAML"), ("gate: {}", "params.yaml: problem: Field required")],
    )
    def test_broken_parameters_are_told(
        self, verb: list[str], text: str, message: str, folders: Path, tmp_path: Path
    ) -> None:
        """By every verb that reads them."""
        for name in ("weak", "good"):
            (tmp_path / name).symlink_to(folders / name)
        (tmp_path / "params.yaml").write_text(text)

        done = ratchet(*verb, cwd=tmp_path)

        assert is_told(done), done.stderr
        assert message in done.stderr

    def test_a_tampered_bundle_is_told(self, folders: Path, tmp_path: Path) -> None:
        """Before anything is scored."""
        shutil.copytree(folders / "good" / "bundle", tmp_path / "bundle")
        with (tmp_path / "bundle" / "schema.json").open("a") as file:
            file.write(" ")

        done = ratchet("score", tmp_path / "bundle", march(folders))

        assert is_told(done), done.stderr
        assert "schema.json: is not the file its manifest names" in done.stderr

    def test_rows_that_lack_a_column_are_told(self, folders: Path, tmp_path: Path) -> None:
        """With the columns and the model that needs them."""
        files.write_parquet(tmp_path / "rows.parquet", files.read_parquet(march(folders))[["throw", "metal"]])

        done = ratchet("score", folders / "good", tmp_path / "rows.parquet")

        digest = bundle.digest(folders / "good" / "bundle")[:12]
        assert is_told(done), done.stderr
        assert done.stderr == f"error: the rows lack day, side, which the model {digest} needs\n"

    def test_a_folder_that_cannot_be_written_is_told(self, folders: Path, tmp_path: Path) -> None:
        """A file stands where the folder of the report should be made."""
        (tmp_path / "file").touch()

        done = ratchet("compare", "weak", "good", "--out", tmp_path / "file" / "report", cwd=folders)

        assert is_told(done), done.stderr
        assert "what was there before is unchanged" in done.stderr


class TestScore:
    """`ratchet score`."""

    @pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
    def test_it_writes_csv_to_standard_output(
        self, kind: str, folders: Path, caches: dict[str, str], tmp_path: Path
    ) -> None:
        """The key and the score of each row, in the order of the rows, whatever kind of file they came in."""
        rows = files.read_parquet(march(folders))
        path = tmp_path / f"rows.{kind}"
        write: dict[str, Callable[[], object]] = {
            "parquet": lambda: files.write_parquet(path, rows),
            "csv": lambda: rows.to_csv(path, index=False),
            "jsonl": lambda: rows.to_json(path, orient="records", lines=True),
        }
        write[kind]()

        done = ratchet("score", folders / "good", path, **caches)

        found = pd.read_csv(StringIO(done.stdout))
        assert (done.returncode, done.stderr) == (0, "")
        assert list(found.columns) == ["throw", "score"]
        assert found["throw"].tolist() == rows["throw"].tolist()
        np.testing.assert_allclose(
            found["score"], bundle.load(folders / "good" / "bundle").score(rows), rtol=0, atol=1e-12
        )

    def test_it_writes_parquet_where_it_is_told(self, folders: Path, caches: dict[str, str], tmp_path: Path) -> None:
        """And nothing to standard output."""
        done = ratchet(
            "score", folders / "good" / "bundle", march(folders), "--out", tmp_path / "out.parquet", **caches
        )

        rows, found = files.read_parquet(march(folders)), files.read_parquet(tmp_path / "out.parquet")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert found["throw"].tolist() == rows["throw"].tolist()
        assert found["score"].between(0, 1).all()

    def test_digits_in_a_text_column_of_csv_are_text(
        self, folders: Path, caches: dict[str, str], tmp_path: Path
    ) -> None:
        """The schema of the bundle says what is text: metal 7 is a metal never seen, as it is for the service."""
        (tmp_path / "rows.csv").write_text("throw,day,metal,side,force,turns\n1,2013,7,up,2.5,\n")

        done = ratchet("score", folders / "good", tmp_path / "rows.csv", **caches)

        row = {"throw": 1, "day": "2013", "metal": "7", "side": "up", "force": 2.5, "turns": None}
        expected = bundle.load(folders / "good" / "bundle").score_row(row)
        assert done.stdout == f"throw,score\n1,{expected}\n"


class TestCompare:
    """`ratchet compare`."""

    def test_it_tells_the_verdict_and_where_the_report_lies(self, folders: Path, tmp_path: Path) -> None:
        """The sentence first, then each rule with its outcome; a verdict is no error, whatever it is."""
        for champion, challenger, word in (("weak", "good", "Promote"), ("good", "weak", "Block")):
            done = ratchet("compare", champion, challenger, "--out", tmp_path / word, cwd=folders)

            verdict = files.read_json(tmp_path / word / "verdict.json")
            assert (done.returncode, done.stderr) == (0, "")
            assert done.stdout.startswith(f"{word}: ")
            assert done.stdout.splitlines() == [
                verdict["sentence"],
                *(f"  {rule['outcome']:<5} {rule['sentence']}" for rule in verdict["rules"]),
                f"report: {tmp_path / word / 'report.html'}",
            ]
            assert (tmp_path / word / "report.html").is_file()

    def test_a_later_look_asks_for_more(self, folders: Path, tmp_path: Path) -> None:
        """The number of the look is in the verdict, and its level is smaller."""
        for look in ("1", "5"):
            ratchet("compare", "weak", "good", "--look", look, "--out", tmp_path / look, cwd=folders)

        first, fifth = (files.read_json(tmp_path / look / "verdict.json")["look"] for look in ("1", "5"))
        assert (first["number"], fifth["number"]) == (1, 5)
        assert fifth["level"] < first["level"] < first["budget"] == fifth["budget"]


class TestDigest:
    """`ratchet digest`."""

    def test_it_prints_both_digests(self, folders: Path, tmp_path: Path) -> None:
        """The model digest is the SHA-256 of the manifest; a pipeline that never ran has a lock digest too."""
        shutil.copytree(folders / "good" / "bundle", tmp_path / "bundle")
        (tmp_path / "dvc.yaml").write_text("stages: {a: {cmd: touch a, outs: [a]}}")

        done = ratchet("digest", tmp_path)

        assert (done.returncode, done.stderr) == (0, "")
        assert re.fullmatch(
            f"model {files.sha256(tmp_path / 'bundle' / 'manifest.json')}\nlock  [0-9a-f]{{64}}\n", done.stdout
        )


@dataclass
class Ended:
    """How a verb ended that was run in this process, as a job would run it."""

    code: object
    out: str
    err: str

    @property
    def is_told(self) -> bool:
        """Exit code 2, one to three lines, no traceback."""
        return self.code == 2 and self.err.startswith("error: ") and 1 <= len(self.err.splitlines()) <= 3


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., Ended]:
    """Runs a verb in an empty folder, with nothing of GitHub's in the environment but what is given."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("GITHUB_") or name.endswith("_URL")]:
        monkeypatch.delenv(name)

    def run(*arguments: str | Path, **variables: str) -> Ended:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["ratchet", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Ended(ended.value.code or 0, said.out, said.err)

    return run


class TestEnvironment:
    """What a job has to be given."""

    @pytest.mark.parametrize("verb", TALKING)
    def test_a_verb_without_a_repository_says_so(self, verb: str, job: Callable[..., Ended]) -> None:
        """And how to name it at a desk."""
        done = job(verb, *TALKING[verb], **TOKEN)

        assert done.is_told, done.err
        assert done.err.startswith("error: GITHUB_REPOSITORY: is not set; it names the repository as owner/name\n")

    @pytest.mark.parametrize("verb", TALKING)
    def test_a_verb_without_a_token_says_so(self, verb: str, job: Callable[..., Ended]) -> None:
        """And where one comes from."""
        done = job(verb, *TALKING[verb], GITHUB_REPOSITORY="ada/flights")

        assert done.is_told, done.err
        assert done.err.startswith("error: GITHUB_TOKEN: is not set\n")

    @pytest.mark.parametrize("arguments", [["settle"], ["settle", "--failed"]], ids=["settle", "failed"])
    def test_a_verb_without_its_event_says_so(self, arguments: list[str], job: Callable[..., Ended]) -> None:
        """It is run by hand, outside of a workflow."""
        done = job(*arguments, GITHUB_REPOSITORY="ada/flights", **TOKEN)

        assert done.is_told, done.err
        assert "GITHUB_EVENT_PATH" in done.err

    def test_a_run_that_is_no_number_is_told(self, job: Callable[..., Ended]) -> None:
        """Someone set it by hand."""
        done = job("release", GITHUB_REPOSITORY="ada/flights", **TOKEN, GITHUB_RUN_ID="x")

        assert done.is_told, done.err
        assert "GITHUB_RUN_ID" in done.err


@pytest.fixture
def place(forge: Server) -> Iterator[Place]:
    """A pull request."""
    made = desk(forge)
    yield Place(made, made.client(tries=2), made.pull())
    forge.faults.clear()


def given(place: Place, token: str = "") -> dict[str, str]:
    """What GitHub puts into the environment of every job."""
    return {
        "GITHUB_REPOSITORY": place.desk.name,
        "GITHUB_TOKEN": token or place.desk.server.token("ada"),
        "GITHUB_API_URL": place.desk.server.api,
        "GITHUB_SERVER_URL": place.desk.server.url,
        "GITHUB_RUN_ID": "900",
    }


class TestVerdict:
    """The verbs of verdict.yml, one after the other."""

    def test_a_run_that_begins_waits_and_is_told(self, place: Place, job: Callable[..., Ended], tmp_path: Path) -> None:
        """Outputs for the steps after it; then the comment, and the statuses."""
        files.write_json(tmp_path / "event.json", place.event(place.run(), "in_progress"))
        event = {"GITHUB_EVENT_PATH": str(tmp_path / "event.json"), "GITHUB_OUTPUT": str(tmp_path / "output")}

        done = job("settle", "--judgement", "none.json", "--out", "settled", **given(place), **event)

        assert (done.code, done.err) == (0, "")
        assert (tmp_path / "output").read_text() == f"pr={place.pull.number}\ncomment=true\n"
        assert place.states(place.head) == {"model-gate": "pending"}

        done = job("comment", "--pr", str(place.pull.number), "settled/comment.md")
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith(f"{place.desk.server.url}/{place.desk.name}/pull/{place.pull.number}#issuecomment-")
        assert place.comments() == [cml.marked((tmp_path / "settled/comment.md").read_text())]

    def test_a_judged_run_is_recorded_and_said(self, place: Place, job: Callable[..., Ended], tmp_path: Path) -> None:
        """The job's log names each status; links to the pages of the judge are in the comment."""
        run, event = place.ended()
        files.write_json(tmp_path / "event.json", event)
        files.write_json(tmp_path / "judgement.json", place.judgement(run, "block"))
        page = f"{place.desk.server.url}/{place.desk.name}/actions/runs/1/artifacts/2"

        done = job(
            *("settle", "--judgement", "judgement.json", "--out", "settled"),
            **given(place),
            GITHUB_EVENT_PATH=str(tmp_path / "event.json"),
        )

        assert (done.code, done.err) == (0, "")
        assert done.out == f"{place.head[:8]} model-gate: failure, Block: log loss rises.\n"
        assert "Block: log loss rises." in (tmp_path / "settled/report.html").read_text()
        assert page not in (tmp_path / "settled/comment.md").read_text()
        assert job("link", "settled", REPORT_URL=page).out == "linked\n"
        assert page in (tmp_path / "settled/comment.md").read_text()
        assert job("link", "nothing", REPORT_URL=page).out == "no comment of a verdict is there\n"
        assert len(place.verdicts()) == 1
        assert place.status(place.head) == ("failure", "Block: log loss rises.")

    def test_a_run_of_tests_has_no_comment(self, place: Place, job: Callable[..., Ended], tmp_path: Path) -> None:
        """The output says so, and names no pull request."""
        _, event = place.ended(".github/workflows/ci.yml")
        files.write_json(tmp_path / "event.json", event)
        where = {"GITHUB_EVENT_PATH": str(tmp_path / "event.json"), "GITHUB_OUTPUT": str(tmp_path / "output")}

        done = job("settle", **given(place), **where)

        assert done.code == 0
        assert (tmp_path / "output").read_text() == "pr=\ncomment=false\n"
        assert place.states(place.head) == {"ci-gate": "success"}

    @pytest.mark.parametrize(
        ("judgement", "message"),
        [("{", "judgement.json: is not valid JSON"), ("{}", "judgement: $"), ("[]", "judgement: $")],
    )
    def test_a_judgement_that_is_none_is_told(
        self, place: Place, job: Callable[..., Ended], tmp_path: Path, judgement: str, message: str
    ) -> None:
        """And nothing is recorded."""
        _, event = place.ended()
        files.write_json(tmp_path / "event.json", event)
        (tmp_path / "judgement.json").write_text(judgement)

        done = job(
            "settle", "--judgement", "judgement.json", **given(place), GITHUB_EVENT_PATH=str(tmp_path / "event.json")
        )

        assert done.is_told, done.err
        assert message in done.err
        assert place.verdicts() == []

    def test_a_verdict_that_fails_itself_says_so_with_its_own_run(
        self, place: Place, job: Callable[..., Ended], tmp_path: Path
    ) -> None:
        """On the commit, in the gate that it should have set."""
        _, event = place.ended()
        files.write_json(tmp_path / "event.json", event)

        done = job("settle", "--failed", **given(place), GITHUB_EVENT_PATH=str(tmp_path / "event.json"))

        assert done.code == 0, done.err
        found = place.forge.statuses(place.head)["model-gate"]
        assert (found.state, found.url) == ("error", f"{place.desk.server.url}/{place.desk.name}/actions/runs/900")

    def test_a_comment_that_was_never_written_is_told(self, place: Place, job: Callable[..., Ended]) -> None:
        """By the name of its file."""
        done = job("comment", "--pr", "1", "comment.md", **given(place))

        assert done.is_told, done.err
        assert "comment.md: No such file or directory" in done.err

    def test_a_run_that_belongs_to_no_pull_request_is_no_error(
        self, place: Place, job: Callable[..., Ended], tmp_path: Path
    ) -> None:
        """Nothing is judged, nothing is written."""
        run, _ = place.ended()
        place.push({"README.md": "newer\n"})

        done = job("judge", "--run", str(run.id), **given(place))

        assert (done.code, done.out) == (0, "no open pull request has this commit as its head\n")
        assert not (tmp_path / "build").exists()

    def test_a_wrong_token_is_told(self, place: Place, job: Callable[..., Ended]) -> None:
        """With where a right one comes from."""
        done = job("judge", "--run", "1", **given(place, "wrong"))

        assert done.is_told, done.err
        assert "the token was refused: it is expired or wrong" in done.err


class TestMaintainer:
    """The verbs of maintainer.yml."""

    def test_who_pressed_the_button_is_recorded(self, place: Place, job: Callable[..., Ended]) -> None:
        """Not who pressed it the first time, when a run is run again; with the run and the reason."""
        run, event = place.ended()
        place.settle(event, place.judgement(run, "safe"))

        done = job(
            *("accept", str(place.pull.number), "--reason", "simpler"),
            **given(place),
            GITHUB_ACTOR="ada",
            GITHUB_TRIGGERING_ACTOR="grace",
        )

        assert (done.code, done.out) == (0, f"pull request {place.pull.number} is accepted by grace\n")
        (record,) = ledger.Ledger(place.forge).listing().acceptances()
        assert (record["who"], record["reason"], record["run"]) == ("grace", "simpler", 900)

    def test_at_a_desk_it_is_whose_token_it_is(self, place: Place, job: Callable[..., Ended]) -> None:
        """Nobody says who acts."""
        run, event = place.ended()
        place.settle(event, place.judgement(run, "safe"))

        assert job("accept", str(place.pull.number), "--reason", "simpler", **given(place)).code == 0

        (record,) = ledger.Ledger(place.forge).listing().acceptances()
        assert record["who"] == "ada"

    @pytest.mark.parametrize(
        ("verb", "message"),
        [
            ("accept", "is still being judged"),
            ("adopt", "there is nothing to adopt"),
        ],
    )
    def test_what_may_not_be_done_is_told(
        self, place: Place, job: Callable[..., Ended], verb: str, message: str
    ) -> None:
        """In the verb's own words."""
        done = job(verb, str(place.pull.number), "--reason", "why", **given(place))

        assert done.is_told, done.err
        assert message in done.err

    def test_a_repository_with_something_to_click_ends_with_one(self, place: Place, job: Callable[..., Ended]) -> None:
        """`ratchet doctor` in a new repository: the checks on standard output, exit code 1."""
        done = job("doctor", **given(place))

        assert (done.code, done.err) == (1, "")
        assert done.out
