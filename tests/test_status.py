"""The status says what runs where, since when, by whom and why, and finds a service that is not what is wanted."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

import audit_example
from audit_example import IMAGES, SENTENCE, Shop
from forge_example import desk
from ratchet import status
from ratchet.cli import cli
from ratchet.deploy.branch import Wish
from ratchet.deploy.state import Arm, Moment, State
from ratchet.errors import RatchetError
from ratchet.status import Facts, Heard
from rehearsal.forge import Forge as Server
from rehearsal.forge import Run

pytestmark = pytest.mark.xdist_group("audit")

ONE, TWO = (Arm(f"model-v{digit}", digit * 64, f"ghcr.io/ada/flights@sha256:{digit * 64}") for digit in ("1", "2"))
FIRST_WORDS = "The first model of the repository: there was none to be judged against."
VERDICT = "verdicts/0123456789abcdef/2222222222222222/pr2-1.1.json"


def moment(number: int, state: State) -> Moment:
    """The n-th state of an environment, on its own commit, at n minutes past one."""
    return Moment(f"{number}" * 40, f"2026-11-24T13:{number:02}:00Z", state)


def move(number: int, tag: str, who: str = "ada", reason: str = "why not") -> dict[str, Any]:
    """The record of the n-th state."""
    return {"deploy_sha": f"{number}" * 40, "tag": tag, "who": who, "reason": reason, "environment": "production"}


def release(arm: Arm, verdict: str | None = None, image: str | None = "") -> dict[str, Any]:
    """The record of a release."""
    return {"tag": arm.release, "verdict": verdict, "image": arm.image if image == "" else image}


ALONE = State("production", "all-at-once", {"blue": ONE, "green": None}, "blue")
CANARY = State("production", "canary", {"blue": ONE, "green": TWO}, "blue", "green", share=10)
WIDER = State("production", "canary", {"blue": ONE, "green": TWO}, "blue", "green", share=30)
SHADOW = State("production", "shadow", {"blue": ONE, "green": TWO}, "blue", "green", mirror=100)
DONE = State("production", "blue-green", {"blue": ONE, "green": TWO}, "green")
BACK = State(
    "production", "all-at-once", {"blue": ONE, "green": None}, "blue", withdrawn={"model-v2": "log loss rises"}
)


def facts(states: Sequence[State], heard: Sequence[Heard] = (), **fields: Any) -> Facts:
    """What is known when production went through these states, each moved there by ada."""
    moments = [moment(number, state) for number, state in enumerate(states, 1)]
    given = {
        "moments": {"production": moments[::-1]} if moments else {},
        "moves": [move(number, states[number - 1].newcomer.release) for number in range(1, len(states) + 1)],
        "releases": [release(ONE), release(TWO, VERDICT)],
        "verdicts": {VERDICT: {"sentence": SENTENCE}},
        **fields,
    }
    return Facts(**given, heard=heard)


def seats(states: Sequence[State]) -> list[tuple[str, str, str, int, int, str]]:
    """Slot, role, release, share, copies and the minute since when, of each seat in production."""
    (place,) = status.examine(facts(states)).environments
    return [(one.slot, one.role, one.release, one.share, one.mirror, one.since[14:16]) for one in place.seats]


def lines(found: Facts) -> str:
    return "\n".join(status.told(status.examine(found)))


class TestSeats:
    """Who sits where."""

    def test_nothing_is_deployed(self) -> None:
        """And the newest release is named."""
        assert lines(facts([])) == (
            "nothing is deployed: the branch deploy has no state yet\n"
            "newest release: model-v2, not in production yet: Actions → promote, or `ratchet deploy plan` to see what "
            "changes"
        )

    @pytest.mark.parametrize(
        ("states", "expected"),
        [
            ([ALONE], [("blue", "champion", "model-v1", 100, 0, "01")]),
            (
                [ALONE, CANARY],
                [("blue", "champion", "model-v1", 90, 0, "02"), ("green", "challenger", "model-v2", 10, 0, "02")],
            ),
            (
                [ALONE, SHADOW],
                [("blue", "champion", "model-v1", 100, 0, "01"), ("green", "challenger", "model-v2", 0, 100, "02")],
            ),
            (
                [ALONE, CANARY, DONE],
                [("blue", "warm", "model-v1", 0, 0, "03"), ("green", "champion", "model-v2", 100, 0, "03")],
            ),
            (
                [CANARY, WIDER, CANARY],
                [("blue", "champion", "model-v1", 90, 0, "03"), ("green", "challenger", "model-v2", 10, 0, "03")],
            ),
        ],
    )
    def test_roles_shares_and_since_when(self, states: list[State], expected: list[tuple[Any, ...]]) -> None:
        """A seat is the same as long as its arm, its role and what it has to do are."""
        assert seats(states) == expected

    def test_no_more_of_the_history_is_read_than_is_told(self) -> None:
        """Each state is a request: reading ends where no seat is what it is now."""
        asked = iter([moment(5, DONE), moment(4, WIDER), moment(3, CANARY), moment(2, ALONE)])

        assert [one.state for one in status.recent(asked)] == [DONE, WIDER]
        assert next(asked).state == CANARY
        assert status.recent([moment(2, SHADOW), moment(1, ALONE)])[-1].state == ALONE
        assert status.recent([]) == []

    def test_the_move_that_brought_it_says_who_and_why(self) -> None:
        """And the verdict of the pull request why it may; the first model had none."""
        found = facts([ALONE, CANARY], moves=[move(1, "model-v1"), move(2, "model-v2", "bob", "A tenth, to begin")])

        assert lines(found) == (
            "production: canary, commit 2222222 of 2026-11-24 13:02 UTC\n"
            "  blue   champion    model-v1    90 %  image 111111111111\n"
            "         since 2026-11-24 13:02 UTC by bob: A tenth, to begin\n"
            f"         {FIRST_WORDS}\n"
            "  green  challenger  model-v2    10 %  image 222222222222\n"
            "         since 2026-11-24 13:02 UTC by bob: A tenth, to begin\n"
            f"         {SENTENCE}\n"
            "newest release: model-v2, challenger in production"
        )

    def test_what_no_record_explains_is_told(self) -> None:
        """A state that somebody has written past the workflows, of a release that the ledger does not know."""
        text = lines(facts([ALONE], moves=[], releases=[]))

        assert "since 2026-11-24 13:01 UTC and no record says by whom" in text
        assert "No record says why it may run." in text
        assert text.endswith("\nno release yet")

    def test_what_was_withdrawn_is_told_with_its_reason(self) -> None:
        """Also as the newest release, which is not simply late."""
        text = lines(facts([ALONE, CANARY, BACK]))

        assert "  withdrawn: model-v2: log loss rises\n" in text
        assert text.endswith("newest release: model-v2, withdrawn from production: log loss rises")

    def test_a_release_without_an_image_cannot_run(self) -> None:
        """So it is not said to be waiting."""
        found = facts([ALONE], releases=[release(ONE), release(TWO, VERDICT, image=None)])

        assert lines(found).endswith("newest release: model-v2, which has no image, so it cannot run")

    def test_runs_that_wait_for_an_approval_are_named(self) -> None:
        """With the address where it is given."""
        found = facts([ALONE], waiting=[("promote", "https://github.com/ada/flights/actions/runs/7")])

        assert lines(found).endswith("promote waits for an approval: https://github.com/ada/flights/actions/runs/7")


def info(arm: Arm, **more: Any) -> dict[str, Any]:
    """What /info of a service with that arm says."""
    return {"model": arm.model, "release": arm.release, **more}


class TestService:
    """A service is asked who it is."""

    @pytest.mark.parametrize(
        ("heard", "well", "sentence"),
        [
            (
                Heard("u", None, ready=True, info=info(ONE)),
                True,
                "runs model-v1 (111111111111), champion in production",
            ),
            (Heard("u", "production", ready=True, info=info(TWO)), True, "runs model-v2 (222222222222), challenger in"),
            (
                Heard("u", None, ready=True, info=info(ONE, release=None)),
                True,
                "runs model-v1 (111111111111), champion",
            ),
            (
                Heard("u", None, ready=False, info=info(ONE)),
                False,
                "runs model-v1 (111111111111), champion in production",
            ),
            (
                Heard("u", "staging", ready=True, info=info(ONE)),
                False,
                "runs model-v1 (111111111111); wanted: nothing",
            ),
            (
                Heard("u", None, ready=True, info=info(Arm("model-v3", "3" * 64, "x"))),
                False,
                "runs model-v3 (333333333333); wanted: model-v1 (111111111111) in production, model-v2 ",
            ),
            (
                Heard("u", None, ready=True, info=info(ONE, release="model-v2")),
                False,
                "runs model-v2 (111111111111); wanted: model-v1",
            ),
            (Heard("u", None, fault="refused"), False, "does not answer: refused"),
        ],
    )
    def test_it_is_what_is_wanted_or_not(self, heard: Heard, well: bool, sentence: str) -> None:
        """By the model digest and, where it says so, by the release; in the environment that it is said to be."""
        found = status.examine(facts([ALONE, CANARY], [heard]))

        assert found.well is well
        assert found.services[0].sentence.startswith(sentence)
        assert status.told(found)[-1].startswith("ok    u: " if well else "FAIL  u: ")

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("https://x.example/", (None, "https://x.example")),
            ("production=http://127.0.0.1:80", ("production", "http://127.0.0.1:80")),
            ("https://x.example/?a=b", (None, "https://x.example/?a=b")),
        ],
    )
    def test_an_address_may_name_its_environment(self, text: str, expected: tuple[str | None, str]) -> None:
        """Before an equals sign."""
        assert status.address(text) == expected

    @pytest.mark.parametrize("text", ["", "x.example", "ftp://x", "nowhere=https://x", "production="])
    def test_what_is_no_address_is_refused(self, text: str) -> None:
        """With how to write one."""
        with pytest.raises(RatchetError, match="is not an address\nwrite https"):
            status.address(text)

    def test_a_running_service_is_heard(self) -> None:
        """Over HTTP: /info and /readyz."""
        with _service({"/info": (200, info(ONE)), "/readyz": (200, {})}) as url:
            assert status.hear(url, "production") == Heard(url, "production", ready=True, info=info(ONE))

    def test_a_draining_service_is_not_ready(self) -> None:
        """503 says so."""
        with _service({"/info": (200, info(ONE)), "/readyz": (503, {})}) as url:
            assert status.hear(url) == Heard(url, None, ready=False, info=info(ONE))

    @pytest.mark.parametrize("answer", [(200, ["a", "list"]), (200, {"model": 1}), (200, {}), (500, {}), (404, {})])
    def test_another_service_is_not_taken_for_one(self, answer: tuple[int, Any]) -> None:
        """What has no /info, or one that names no model."""
        with _service({"/info": answer, "/readyz": (200, {})}) as url:
            found = status.hear(url)

        assert found.info is None
        assert found.fault

    def test_nobody_there_is_told(self) -> None:
        """In one line."""
        with _service({}) as url:
            pass

        found = status.hear(url)

        assert (found.ready, found.info) == (False, None)
        assert "\n" not in found.fault


@contextmanager
def _service(answers: dict[str, tuple[int, Any]]) -> Iterator[str]:
    """A server of JSON on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code, body = answers.get(self.path, (404, {}))
            self.send_response(code)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            return

    listening = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.server_port}"
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


@pytest.fixture(scope="module")
def shop(forge: Server, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Two releases on a forge, one of them a canary."""
    outputs = audit_example.models(tmp_path_factory.mktemp("outputs"))
    return audit_example.shop(forge, outputs, tmp_path_factory.mktemp("shop"))


def _at(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of somebody who may read."""
    monkeypatch.setenv("GITHUB_REPOSITORY", shop.desk.name)
    monkeypatch.setenv("GITHUB_API_URL", shop.desk.server.api)
    monkeypatch.setenv("GITHUB_SERVER_URL", shop.desk.server.url)
    monkeypatch.setenv("GITHUB_TOKEN", shop.desk.server.token("eve", role="read"))


def _ends(*arguments: str) -> Any:
    with pytest.raises(SystemExit) as ended:
        cli(["status", *arguments], prog_name="ratchet")
    return ended.value.code


def test_the_verb_reads_branch_ledger_and_service(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As text, and as JSON; exit code 1 when the service that was asked runs something else."""
    _at(shop, monkeypatch)
    canary = {"model": shop.digest("model-v2"), "release": "model-v2"}

    with _service({"/info": (200, canary), "/readyz": (200, {})}) as url:
        assert _ends("--url", f"production={url}", "--json") == 0
        told = json.loads(capsys.readouterr().out)
        assert _ends("--url", f"staging={url}") == 0
    with _service({"/info": (200, {"model": "0" * 64}), "/readyz": (200, {})}) as url:
        assert _ends("--url", url) == 1

    (production, staging) = told["environments"]
    assert (production["environment"], production["strategy"]) == ("production", "canary")
    assert [(one["release"], one["role"], one["share"], one["who"], one["why"]) for one in production["seats"]] == [
        ("model-v1", "champion", 90, "ada", "A tenth, to begin with"),
        ("model-v2", "challenger", 10, "ada", "A tenth, to begin with"),
    ]
    assert [one["sentence"] for one in production["seats"]] == [FIRST_WORDS, SENTENCE]
    assert production["seats"][1]["image"] == IMAGES["model-v2"]
    assert [(one["release"], one["role"]) for one in staging["seats"]] == [
        ("model-v1", "warm"),
        ("model-v2", "champion"),
    ]
    assert (told["newest"], told["well"]) == ("newest release: model-v2, challenger in production", True)
    text = capsys.readouterr().out
    assert "  green  challenger  model-v2    10 %  image 222222222222\n" in text
    assert f"FAIL  {url}: runs a model (000000000000); wanted: model-v1 " in text


def test_a_new_repository_has_nothing_to_tell(forge: Server) -> None:
    """Neither branch is there yet; that is no error."""
    empty = desk(forge)

    assert status.told(status.examine(status.gather(empty.client()))) == [
        "nothing is deployed: the branch deploy has no state yet",
        "no release yet",
    ]


def test_a_run_that_waits_is_found_on_the_forge(shop: Shop) -> None:
    """Among all that ever ran."""
    made = shop.desk.server.open_run(
        Run(shop.desk.name, ".github/workflows/promote.yml", "promote", "push", "main", "0" * 40, shop.desk.name, "ada")
    )
    with shop.desk.server.changing():
        made.status, made.pending = "waiting", ["production"]

    found = status.gather(shop.client)
    shop.desk.server.close_run(made, "cancelled")

    assert found.waiting == [("promote", f"{shop.desk.server.url}/{shop.desk.name}/actions/runs/{made.id}")]


def test_a_rollback_is_told_with_its_reason(shop: Shop, tmp_path: Path) -> None:
    """Who went back and why, and what was withdrawn."""
    with audit_example.copied(shop, tmp_path) as again:
        again.deploy("production", Wish("blue-green", "model-v2"), 21)
        again.rollback(22, "log loss rises")
        text = "\n".join(status.told(status.examine(status.gather(again.client))))

    assert " by bob: log loss rises\n" in text
    assert "  withdrawn: model-v2: log loss rises\n" in text
    assert text.endswith("newest release: model-v2, withdrawn from production: log loss rises")
