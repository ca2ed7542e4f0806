"""A host that is made to run a state: the order of the steps, arms that do not come, arms that fall sick."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy_example import A, B, C, D, Load, Tiny, one, shadow, two, warm
from ratchet.deploy import health
from ratchet.deploy.apply import Await, Drain, Route, Start, Step, Stop, Watch, pull, read, reconcile, steps
from ratchet.deploy.health import Counted, Guard
from ratchet.deploy.state import SLOTS, Slot, State, render
from ratchet.errors import RatchetError
from rehearsal.engine import Processes

BLUE, GREEN, BOTH = frozenset({"blue"}), frozenset({"green"}), frozenset(SLOTS)


class TestSteps:
    """What has to be done, in its order."""

    def test_a_new_host_starts_what_is_wanted_before_it_routes(self) -> None:
        """Nothing answers before, so nothing can be lost."""
        assert steps({}, one("blue", A)) == [Start("blue", A), Await("blue", A), Route(BLUE)]

    def test_a_host_that_is_right_only_looks(self) -> None:
        """The routes are written again, in case somebody else has."""
        found = steps({"blue": A.image, "green": B.image}, two("blue", A, B))

        assert found == [Await("blue", A, is_new=False), Await("green", B, is_new=False), Route(BOTH)]

    def test_a_newcomer_comes_into_the_empty_slot(self) -> None:
        """The champion is not touched."""
        assert steps({"blue": A.image}, two("blue", A, B)) == [
            Start("green", B),
            Await("blue", A, is_new=False),
            Await("green", B),
            Route(BOTH),
        ]

    def test_a_slot_that_changes_is_first_taken_out_of_the_traffic(self) -> None:
        """And comes back into it when its new arm is ready."""
        assert steps({"blue": A.image, "green": B.image}, two("blue", A, C)) == [
            Await("blue", A, is_new=False),
            Route(BLUE),
            Drain("green"),
            Stop("green"),
            Start("green", C),
            Await("green", C),
            Route(BOTH),
        ]

    def test_a_slot_that_is_not_wanted_is_stopped_last(self) -> None:
        """After the newcomer answers, and the old one has finished."""
        assert steps({"blue": A.image}, one("green", B)) == [
            Start("green", B),
            Await("green", B),
            Route(GREEN),
            Drain("blue"),
            Stop("blue"),
        ]

    def test_where_both_change_the_one_that_answers_goes_on_until_the_other_is_new(self) -> None:
        """A host that was away for two releases; the warm one may answer in between."""
        found = steps({"blue": A.image, "green": B.image}, warm("blue", C, D), answering="blue")

        assert found == [
            *(Route(BLUE), Drain("green"), Stop("green"), Start("green", D), Await("green", D)),
            *(Route(GREEN), Drain("blue"), Stop("blue"), Start("blue", C), Await("blue", C)),
            Route(BOTH),
        ]

    @pytest.mark.parametrize("desired", [two("blue", C, D), shadow("blue", C, D)])
    def test_a_challenger_never_answers_for_a_champion_that_is_not_up_yet(self, desired: State) -> None:
        """The new champion is up in the challenger's slot for the meantime."""
        assert steps({"blue": A.image}, desired, answering="blue") == [
            *(Start("green", C), Await("green", C)),
            *(Route(GREEN), Drain("blue"), Stop("blue"), Start("blue", C), Await("blue", C)),
            *(Route(BLUE), Drain("green"), Stop("green"), Start("green", D), Await("green", D)),
            Route(BOTH),
        ]

    def test_what_was_begun_is_not_begun_again(self) -> None:
        """The champion is up in the other slot already: an earlier attempt was cut off."""
        assert steps({"blue": A.image, "green": C.image}, one("blue", C), answering="blue")[:2] == [
            Await("green", C, is_new=False),
            Route(GREEN),
        ]

    def test_a_challenger_that_answered_alone_does_so_until_the_champion_is_up(self) -> None:
        """Going back to an earlier canary: what was promoted since becomes the challenger again."""
        assert steps({"blue": A.image, "green": D.image}, two("blue", C, D), answering="green") == [
            *(Route(GREEN), Drain("blue"), Stop("blue"), Start("blue", C), Await("blue", C)),
            Route(BOTH),
        ]

    def test_a_single_arm_that_changes_is_bridged_by_the_free_slot(self) -> None:
        """Its new image runs there until the slot itself has it."""
        assert steps({"blue": A.image}, one("blue", C)) == [
            *(Start("green", C), Await("green", C)),
            *(Route(GREEN), Drain("blue"), Stop("blue"), Start("blue", C), Await("blue", C)),
            *(Route(BLUE), Drain("green"), Stop("green")),
        ]

    @given(st.data())
    def test_somebody_always_answers(self, data: st.DataObject) -> None:
        """From whatever runs to whatever is wanted: no arm is stopped that gets traffic, and the end is the state."""
        images = st.sampled_from([A, B, C, D])
        slots = st.sampled_from(SLOTS)
        running = {slot: arm.image for slot, arm in data.draw(st.dictionaries(slots, images)).items()}
        first, second = data.draw(st.permutations([A, B, C, D]))[:2]
        champion = data.draw(slots)
        kinds = [two(champion, first, second), shadow(champion, first, second), warm(champion, first, second)]
        desired = data.draw(st.sampled_from([one(champion, first), *kinds]))
        answering = data.draw(st.sampled_from([None, *SLOTS]))

        world = _World(dict(running), set(running), desired, answering)
        for step in steps(running, desired, answering):
            world.do(step)

        assert world.running == {slot: arm.image for slot, arm in desired.arms.items()}
        assert world.routed == set(desired.arms)


class _World:
    """What would happen to a host: asserts that each step is possible, and that traffic is never without an arm.

    A challenger never gets all of it, unless it is what answered before.
    """

    def __init__(self, running: dict[Slot, str], routed: set[Slot], desired: State, answering: Slot | None) -> None:
        self.running, self.routed, self.desired = running, routed, desired
        images = {running[answering]} if answering in running else set(running.values())
        self.answered = images if len(images) == 1 else set()
        self.ready = set(running)
        self.drained: set[Slot] = set()

    @property
    def challenger(self) -> str | None:
        return self.desired.newcomer.image if self.desired.challenger else None

    def do(self, step: Step) -> None:
        match step:
            case Start(slot, arm):
                assert slot not in self.running
                self.running[slot] = arm.image
                self.ready.discard(slot)
            case Await(slot, arm):
                assert self.running[slot] == arm.image
                self.ready.add(slot)
            case Route(slots):
                assert slots
                assert slots <= self.ready & set(self.running)
                assert {self.running[slot] for slot in slots} != {self.challenger} - self.answered
                self.routed, self.drained = set(slots), set()
            case Drain(slot):
                assert slot not in self.routed
                self.drained.add(slot)
            case Stop(slot):
                assert slot in self.drained
                del self.running[slot]
                assert self.routed & set(self.running)


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    """Arms that can be told to fail."""
    return Tiny(tmp_path)


@pytest.fixture
def host(tiny: Tiny, tmp_path: Path) -> Iterator[Processes]:
    """Processes behind a real Traefik."""
    with Processes(tiny, tmp_path / "host") as engine:
        yield engine


def answers(host: Processes, n: int = 20) -> dict[str, int]:
    """First digit of the model, or status, to how often it answered."""
    found: dict[str, int] = {}
    with httpx.Client(base_url=host.url) as client:
        for _ in range(n):
            reply = client.post("/predict", json={})
            name = reply.json()["model"][0] if reply.is_success else str(reply.status_code)
            found[name] = found.get(name, 0) + 1
    return found


class TestReconcile:
    """A state on real processes behind a real Traefik."""

    def test_a_state_is_reached_and_told(self, host: Processes) -> None:
        """When it returns, the traffic is as the state says."""
        report = reconcile(host, two("blue", A, B, share=50))

        assert report.is_well
        assert answers(host) == {"1": 10, "2": 10}
        assert report.traffic == "blue (model-v1) 50 %, green (model-v2) 50 %"
        assert report.done[0] == f"blue: started model-v1, {A.image}"
        assert report.done[-1] == f"routes: {report.traffic}"

    def test_twice_changes_nothing(self, host: Processes) -> None:
        """No process is started again, no route is written."""
        reconcile(host, two("blue", A, B))
        before = {slot: process.pid for slot, process in host.arms.items()}

        report = reconcile(host, two("blue", A, B))

        assert report.done == ()
        assert {slot: process.pid for slot, process in host.arms.items()} == before

    def test_an_arm_that_never_gets_ready_gets_no_traffic(self, host: Processes, tiny: Tiny) -> None:
        """The champion goes on alone; it comes into the traffic when it is well."""
        tiny.fault(B, "unready")

        report = reconcile(host, two("blue", A, B, share=50), patience=0.5)

        assert report.sick == {"green": "model-v2 is not ready: /readyz says 503"}
        assert not report.is_well
        assert answers(host) == {"1": 20}
        tiny.fault(B, "")
        assert reconcile(host, two("blue", A, B, share=50)).is_well
        assert answers(host) == {"1": 10, "2": 10}

    def test_an_arm_with_another_model_gets_no_traffic(self, host: Processes, tiny: Tiny) -> None:
        """It is ready, and not what was judged."""
        tiny.models[B.image] = "f" * 64

        report = reconcile(host, two("blue", A, B, share=50), patience=0.5)

        assert report.sick == {"green": "model-v2 has the model ffffffffffff, not 222222222222 of model-v2"}
        assert answers(host) == {"1": 20}

    def test_an_arm_that_ends_at_once_is_not_waited_for(self, host: Processes, tiny: Tiny) -> None:
        """The old one goes on answering, and is not stopped for it."""
        reconcile(host, one("blue", A))
        tiny.fault(B, "dies")
        begin = time.monotonic()

        report = reconcile(host, one("green", B))

        assert time.monotonic() - begin < 10
        assert report.held == "held: nothing is well but blue, so it goes on answering"
        assert list(report.sick) == ["green"]
        assert dict(host.running()) == {"blue": A.image}
        assert answers(host) == {"1": 20}

    def test_the_only_arm_stays_in_though_it_is_sick(self, host: Processes, tiny: Tiny) -> None:
        """An answer that may fail beats none that can come; it is said."""
        reconcile(host, one("blue", A))
        tiny.fault(A, "unready")

        report = reconcile(host, one("blue", A), respite=0)

        assert report.traffic == "blue (model-v1) 100 %; it is sick, and there is no other"
        assert answers(host) == {"1": 20}

    def test_a_sick_champion_is_replaced_by_the_one_that_is_warm(self, host: Processes, tiny: Tiny) -> None:
        """And answers again when it is well."""
        reconcile(host, warm("green", B, A))
        host.kill("green")
        tiny.fault(B, "dies")

        report = reconcile(host, warm("green", B, A), patience=0.5)

        assert report.traffic == "blue (model-v1) 100 %"
        assert answers(host) == {"1": 20}
        tiny.fault(B, "")
        reconcile(host, warm("green", B, A))
        assert answers(host) == {"2": 20}

    @pytest.mark.parametrize(
        ("before", "after", "expected", "first_route"),
        [
            (one("blue", A), one("blue", C), {"3": 20}, "routes: green (model-v3) 100 %"),
            (
                two("blue", A, B),
                two("blue", C, D, share=50),
                {"3": 10, "4": 10},
                "routes: blue (what was there) 100 %",
            ),
            (warm("green", B, A), one("green", D), {"4": 20}, "routes: green (what was there) 100 %"),
        ],
    )
    def test_no_request_fails_while_everything_changes(
        self, host: Processes, before: State, after: State, expected: dict[str, int], first_route: str
    ) -> None:
        """A host that was away for several releases catches up under load."""
        reconcile(host, before)
        with Load(host.url, [{}], threads=2, pause=0.002) as load:
            report = reconcile(host, after, answering=before.champion)

        assert report.is_well
        first = next(line for line in report.done if line.startswith("routes: "))
        assert first == first_route
        assert load.failures() == []
        assert len(load.answers) > 100
        assert answers(host) == expected
        assert dict(host.running()) == {slot: arm.image for slot, arm in after.arms.items()}

    def test_a_shadow_answers_nobody_while_everything_changes(self, host: Processes) -> None:
        """Not even while the champion beside it is not up yet."""
        reconcile(host, one("blue", A))
        with Load(host.url, [{}], threads=2, pause=0.002) as load:
            report = reconcile(host, shadow("blue", C, D), answering="blue")

        assert report.is_well
        assert load.failures() == []
        assert {answer.body["model"][0] for answer in load.answers} == {"1", "3"}
        assert [line for line in report.done if line.startswith("routes: ")] == [
            "routes: green (model-v3) 100 %",
            "routes: blue (model-v3) 100 %",
            "routes: blue (model-v3) 100 %, copies of 100 % to green (model-v4)",
        ]

    def test_routes_that_traefik_does_not_take_are_told(self, host: Processes) -> None:
        """The old ones hold."""
        reconcile(host, one("blue", A))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("ratchet.deploy.routes.PATIENCE", 1.0)
            with pytest.raises(RatchetError, match="Traefik does not take these routes in"):
                host.route("http: {routers: {}, nonsense: {}}")

        assert answers(host) == {"1": 20}


class TestGuard:
    """Error rates."""

    def test_an_arm_whose_answers_are_errors_is_out_for_a_rest(self) -> None:
        """More than 5 % of at least 20 answers within the window."""
        guard = Guard()
        guard.see("blue", "image", Counted(1000, 40), 0)
        guard.see("blue", "image", Counted(1100, 46), 1)

        assert guard.out(1) == {"blue": "6 of 100 answers were errors"}
        assert guard.out(60.9) == guard.out(1)
        assert guard.out(61) == {}

    @pytest.mark.parametrize("later", [Counted(1100, 45), Counted(1019, 59), Counted(1000, 40)])
    def test_few_errors_or_few_answers_mean_nothing(self, later: Counted) -> None:
        """At the bound, below the least, and none at all."""
        guard = Guard()
        guard.see("blue", "image", Counted(1000, 40), 0)
        guard.see("blue", "image", later, 1)

        assert guard.out(1) == {}

    def test_errors_of_long_ago_are_forgotten(self) -> None:
        """The window goes five looks back."""
        guard = Guard()
        guard.see("blue", "image", Counted(0, 0), 0)
        guard.see("blue", "image", Counted(19, 19), 1)
        for look in range(2, 8):
            guard.see("blue", "image", Counted(19 + 10 * (look > 6), 19), look)

        assert guard.out(7) == {}

    def test_each_rest_is_twice_the_one_before(self) -> None:
        """Until the arm has shown that it is well, or the longest is reached."""
        guard = Guard(longest=240)
        rests = []
        now, count = 0.0, 0
        for _ in range(4):
            guard.see("blue", "image", Counted(count, count), now)
            count += 50
            guard.see("blue", "image", Counted(count, count), now + 1)
            rests.append(next(rest for rest in (60, 120, 240, 480) if not guard.out(now + 1 + rest)))
            now += 1000

        assert rests == [60, 120, 240, 240]

    def test_an_arm_that_starts_again_begins_anew(self) -> None:
        """Its counters do, and errors of another image are none of its own."""
        guard = Guard()
        guard.see("blue", "image", Counted(1000, 0), 0)
        guard.see("blue", "image", Counted(30, 0), 1)
        assert guard.out(1) == {}
        guard.see("blue", "image", Counted(130, 100), 2)
        assert list(guard.out(2)) == ["blue"]

        guard.see("blue", "another", Counted(0, 0), 3)

        assert guard.out(3) == {}

    def test_only_predictions_and_its_own_errors_count(self) -> None:
        """Not the probes, and not what callers did wrong."""
        text = """# TYPE ratchet_requests_total counter
ratchet_requests_total{code="200",route="/predict"} 90.0
ratchet_requests_total{code="422",route="/predict"} 5.0
ratchet_requests_total{route="/predict_batch",code="500"} 4.0
ratchet_requests_total{code="503",route="/readyz"} 1e+03
"""

        assert health.count(text) == Counted(99, 4)


@pytest.fixture
def clone(tmp_path: Path) -> Callable[[State], Path]:
    """Puts a state on the branch `deploy`; the host's clone of it, which has not pulled yet."""
    origin, folder = tmp_path / "origin", tmp_path / "clone"
    git(tmp_path, "init", "--quiet", "--initial-branch", "deploy", str(origin))

    def put(state: State) -> Path:
        path = origin / state.environment / "state.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(render(state))
        git(origin, "add", "--all")
        author = ("-c", "user.name=Test", "-c", "user.email=test@example.invalid", "-c", "commit.gpgsign=false")
        git(origin, *author, "commit", "--quiet", "--message", "A state")
        if not folder.exists():
            git(tmp_path, "clone", "--quiet", str(origin), str(folder))
        return folder

    return put


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True)


class TestWatch:
    """A host that follows the branch."""

    def test_a_commit_on_the_branch_arrives(
        self, host: Processes, clone: Callable[[State], Path], tmp_path: Path
    ) -> None:
        """At the next look."""
        watch = Watch(host, clone(one("blue", A)), "production", tmp_path / "reached.json")
        watch.look(10)
        clone(warm("green", B, A))

        report = watch.look()

        assert report.is_well
        assert answers(host) == {"2": 20}

    def test_an_arm_that_falls_sick_leaves_and_comes_back(
        self, host: Processes, tiny: Tiny, clone: Callable[[State], Path], tmp_path: Path
    ) -> None:
        """Without a commit."""
        watch = Watch(host, clone(two("blue", A, B, share=50)), "production", tmp_path / "reached.json")
        watch.look(10)
        tiny.fault(B, "unready")
        assert watch.look().traffic == "blue (model-v1) 100 %"
        assert answers(host) == {"1": 20}
        tiny.fault(B, "")

        assert watch.look().traffic == "blue (model-v1) 50 %, green (model-v2) 50 %"

        assert answers(host) == {"1": 10, "2": 10}

    def test_an_arm_that_answers_with_errors_leaves_and_comes_back(
        self, host: Processes, tiny: Tiny, clone: Callable[[State], Path], tmp_path: Path
    ) -> None:
        """It says that it is ready all the while; after its rest it is tried again."""
        folder = clone(two("blue", A, B, share=50))
        watch = Watch(host, folder, "production", tmp_path / "reached.json", Guard(rest=1.0))
        watch.look(10)
        watch.look()
        tiny.fault(B, "500")
        for _ in range(25):
            httpx.post(f"{host.probe('green')}/predict", json={})

        report = watch.look()

        assert report.sick == {"green": "25 of 25 answers were errors"}
        assert answers(host) == {"1": 20}
        tiny.fault(B, "")
        time.sleep(1)
        assert watch.look().is_well
        assert answers(host) == {"1": 10, "2": 10}

    def test_a_branch_that_cannot_be_pulled_is_told(
        self, host: Processes, clone: Callable[[State], Path], tmp_path: Path
    ) -> None:
        """What is there is applied."""
        folder = clone(one("blue", A))
        (tmp_path / "origin").rename(tmp_path / "gone")

        report = Watch(host, folder, "production", tmp_path / "reached.json").look(10)

        assert report.behind is not None
        assert report.behind.startswith(f"{folder}: git pull fails: ")
        assert not report.is_well
        assert answers(host) == {"1": 20}

    def test_a_folder_that_is_no_clone_is_what_it_is(self, tmp_path: Path) -> None:
        """Nothing to pull."""
        assert pull(tmp_path) is None

    @pytest.mark.parametrize(
        ("environment", "message"), [("staging", "is the state of production"), ("production", "does not exist")]
    )
    def test_a_state_of_another_environment_or_none_is_told(
        self, tmp_path: Path, environment: str, message: str
    ) -> None:
        """With the path of the file."""
        (tmp_path / "staging").mkdir()
        (tmp_path / "staging" / "state.json").write_text(render(one("blue", A)))

        with pytest.raises(RatchetError, match=message):
            read(tmp_path, environment)  # type: ignore[arg-type]
