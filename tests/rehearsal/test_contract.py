"""The local forge against GitHub's published API description: every route, in success and in failure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from contract import description, desk
from contract.cases import FAILURES, NEEDS, OPEN_TO_READERS, READS, WRITES, R, Row
from contract.description import Operation
from contract.world import EVERYTHING, Call, World

from rehearsal.forge import Forge
from rehearsal.forge.routes import ROUTES, UPLOADS

# The requests share one forge, so one process makes them all.
pytestmark = pytest.mark.xdist_group("contract")

INTEGRATION = "Resource not accessible by integration"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A forge on which something of everything exists."""
    folder = tmp_path_factory.mktemp("contract")
    with Forge(folder / "forge", bot_runs="held") as forge:
        forge.quota.nobody = forge.quota.workflow = 10_000
        yield World(forge, folder)


def each(rows: Iterable[Row]) -> pytest.MarkDecorator:
    """Run a test with each row."""
    return pytest.mark.parametrize("row", rows, ids=lambda row: f"{row[0].replace(R, '')} {row[1]}")


def once(rows: Iterable[Row], under: str = "") -> list[Row]:
    """One row for each operation whose path begins so."""
    return list({row[0]: row for row in rows if f" {under}" in row[0]}.values())


def ask(world: World, row: Row, who: str | None = None) -> httpx.Response:
    """Make a row's request, perhaps as somebody else; every answer has to fit the description."""
    call = row[2](world)
    return send(world, Operation(row[0]), replace(call, who=who or call.who))


def send(world: World, operation: Operation, call: Call) -> httpx.Response:
    """Make a request whose answer has to fit the description."""
    answer = world.send(operation, call)
    faults = operation.response_faults(answer.status_code, answer.headers.get("content-type", ""), answer.content)
    assert faults == [], answer.text[:3000]
    return answer


def test_every_route_is_described_and_exercised() -> None:
    """Nothing is served that GitHub does not have, nothing goes unasked, and the description holds nothing else."""
    served = {f"{route.method} {route.path}" for route in (*ROUTES, *UPLOADS)}

    assert served == set(description.OPERATIONS)
    assert {operation for operation, _, _ in [*READS, *WRITES]} == served


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"state": None}, "$.state: None is not of type 'string'"),
        ({"id": "1"}, "$.id: '1' is not of type 'integer'"),
        ({"created_at": 0}, "$.created_at: 0 is not of type 'string'"),
        ({"url": 0}, "$.url: 0 is not of type 'string'"),
        ({"mood": "good"}, "$.mood: the description names no such field"),
    ],
)
def test_what_does_not_fit_the_description_is_found(world: World, change: dict[str, Any], fault: str) -> None:
    """Wrong and invented fields of an answer that is right as the forge gives it."""
    operation = Operation("POST /repos/{owner}/{repo}/statuses/{sha}")
    right = world.json(operation.name, {"state": "success"}, sha=world.head)
    wrong = json.dumps({**right, **change}).encode()

    assert operation.response_faults(201, "application/json", json.dumps(right).encode()) == []
    assert operation.response_faults(201, "application/json", wrong) == [fault]


def test_missing_and_ill_formed_fields_are_found() -> None:
    """Also below the first level, and a status that the operation does not have."""
    operation = Operation("GET /repos/{owner}/{repo}/git/ref/{ref}")
    answer = {"ref": "refs/heads/main", "node_id": "1", "url": "/refs", "object": {"type": "commit", "sha": "1"}}

    assert operation.response_faults(200, "application/json", json.dumps(answer).encode()) == [
        "$.object.sha: '1' is too short",
        "$.object: 'url' is a required property",
        "$.url: '/refs' is not a 'uri'",
    ]
    assert operation.response_faults(201, "application/json", b"{}") == ["status 201 is not among 200, 404, 409"]


@each([*READS, *WRITES])
def test_success_is_as_described(world: World, row: Row) -> None:
    """The request's body, the status, and the answer's body down to each field."""
    operation, status, make = row
    body = make(world).body
    assert isinstance(body, bytes) or Operation(operation).request_faults(body) == []

    answer = ask(world, row)

    assert answer.status_code == status, answer.text


@each(FAILURES)
def test_failure_is_as_described(world: World, row: Row) -> None:
    """With the status that GitHub gives to it, and a message."""
    answer = ask(world, row)

    assert answer.status_code == row[1], answer.text


def anything(operation: str, who: str, repository: str = "flights") -> tuple[Operation, Call]:
    """A request that is refused before anybody looks for what it is about."""
    names = re.findall(r"\{(\w+)\}", operation)
    return Operation(operation), Call(who, {**dict.fromkeys(names, 1), "owner": "ada", "repo": repository})


def test_a_wrong_token_is_refused(world: World) -> None:
    """By every operation, also where no token would do."""
    answers = {name: send(world, *anything(name, "wrong")) for name in description.OPERATIONS}

    assert {name: told(answer) for name, answer in answers.items()} == dict.fromkeys(answers, (401, "Bad credentials"))


def test_an_unknown_repository_is_not_found(world: World) -> None:
    """Whatever is asked of it."""
    names = [name for name in description.OPERATIONS if R in name]
    answers = {name: send(world, *anything(name, "ada", "nothing")) for name in names}

    assert {name: told(answer) for name, answer in answers.items()} == dict.fromkeys(names, (404, "Not Found"))


def test_a_private_repository_is_hidden(world: World) -> None:
    """From whoever has no token, and from a workflow of another repository, as if it were not there."""
    world.forge.create_repository("ada/secret", private=True)
    for who in ("nobody", "bot"):
        names = [name for name in description.OPERATIONS if R in name]
        answers = {name: send(world, *anything(name, who, "secret")) for name in names}

        assert {name: told(answer) for name, answer in answers.items()} == dict.fromkeys(names, (404, "Not Found"))


def test_nobody_changes_anything_without_a_token(world: World) -> None:
    """Every operation that is no GET wants one."""
    names = [name for name in description.OPERATIONS if not name.startswith("GET")]
    answers = {name: send(world, *anything(name, "nobody")) for name in names}

    assert {name: told(answer) for name, answer in answers.items()} == dict.fromkeys(
        names, (401, "Requires authentication")
    )


def told(answer: httpx.Response) -> tuple[int, str]:
    """Status and message of a refusal."""
    return answer.status_code, answer.json().get("message", answer.text) if answer.content else ""


@each([row for row in once(WRITES) if row[0] not in OPEN_TO_READERS])
def test_a_reader_changes_nothing(world: World, row: Row) -> None:
    """403 or 404, by what it is."""
    answer = ask(world, row, who="eve")

    assert answer.status_code in (403, 404), answer.text


@each(once(WRITES))
def test_a_workflow_needs_the_permission(world: World, row: Row) -> None:
    """All others do not help: 403 with GitHub's words."""
    needed = NEEDS[row[0]]
    rest = {name: level for name, level in EVERYTHING.items() if name not in needed}
    world.tokens["rest"] = world.job_token("rest", {**rest, **dict.fromkeys(needed, "read")})

    answer = ask(world, row, who="rest")

    assert (answer.status_code, answer.json()["message"]) == (403, INTEGRATION)


@each([row for row in once(WRITES) if NEEDS[row[0]]])
def test_a_workflow_may_with_the_permission_alone(world: World, row: Row) -> None:
    """Any of those that GitHub names is enough."""
    for needed in NEEDS[row[0]]:
        world.tokens["sole"] = world.job_token("sole", {needed: "write"})

        answer = ask(world, row, who="sole")

        assert answer.status_code < 300, answer.text


def test_lists_come_in_pages(world: World) -> None:
    """At most 100 at once, 30 unless asked, with the addresses of the pages beside it."""
    operation = Operation("GET /repos/{owner}/{repo}/issues/{issue_number}/comments")
    number = world.number_of("POST /repos/{owner}/{repo}/issues", title="Long")
    desk.say(world.forge, number, [str(word) for word in range(105)])

    def page(**query: int) -> httpx.Response:
        return world.send(operation, Call("bot", {"issue_number": number}, query)).raise_for_status()

    assert [comment["body"] for comment in page().json()] == [str(word) for word in range(30)]
    assert [comment["body"] for comment in page(page=4).json()] == [str(word) for word in range(90, 105)]
    assert len(page(per_page=1000).json()) == 100
    assert page(page=5).json() == []
    links = page(per_page=50, page=2).links
    assert {name: re.sub(r".*\?", "", link["url"]) for name, link in links.items()} == {
        "prev": "per_page=50&page=1",
        "next": "per_page=50&page=3",
        "first": "per_page=50&page=1",
        "last": "per_page=50&page=3",
    }
    assert "link" not in page(per_page=50, page=1).headers or page(page=1).links["next"]
    followed = httpx.get(links["next"]["url"], headers={"Authorization": f"Bearer {world.tokens['bot']}"})
    assert [comment["body"] for comment in followed.json()] == ["100", "101", "102", "103", "104"]


@each([row for row in READS if row[1] == 302])
def test_files_are_fetched_from_an_address_that_needs_no_token(world: World, row: Row) -> None:
    """As a redirect to it; clients do not carry the token there."""
    answer = ask(world, row)

    fetched = httpx.get(answer.headers["location"], follow_redirects=True)

    assert fetched.status_code == 200
    assert fetched.content


def test_things_are_where_they_say_they_are(world: World) -> None:
    """The `url` of whatever is answered leads to the same thing."""
    for row in once(READS, R):
        answer = ask(world, row)
        found = answer.json() if answer.status_code == 200 else {}
        address = found.get("url", "") if isinstance(found, dict) else ""
        served = description.operation_of("GET", address.removeprefix(world.forge.api).partition("?")[0])
        if served and not row[0].endswith(("/status", "/permission")):
            again = httpx.get(address, headers={"Authorization": f"Bearer {world.tokens['ada']}"})
            assert again.json().get("url") == address, row[0]
