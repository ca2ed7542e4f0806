"""The prediction log: every row ends as a whole line or as a count, and no request ever waits for it."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from prometheus_client import CollectorRegistry, Counter

from ratchet.errors import RatchetError
from ratchet.serving import log
from ratchet.serving.log import Counters, PredictionLog
from ratchet.serving.targets import LogSettings

MODEL = "3f9a0c1b2d4e5f60" + "0" * 48
NOON = 1_372_939_200.25  # 2013-07-04 12:00:00.25 UTC
DAY = 86_400
SCHEMA = {
    "properties": {
        "origin": {"type": "string"},
        "flight": {"type": "integer"},
        "tailnum": {"type": ["string", "null"], "private": True},
    }
}
ROW = {"origin": "EWR", "flight": 1545, "tailnum": "N14228"}


class Counted:
    """Real counters, on a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        rows = Counter("rows", "Rows", ["outcome"], registry=self._registry)
        self.counters = Counters(*(rows.labels(outcome) for outcome in ("written", "dropped", "failed")))

    def __getattr__(self, outcome: str) -> int:
        return int(self._registry.get_sample_value("rows_total", {"outcome": outcome}) or 0)


@pytest.fixture
def counted() -> Counted:
    """Nothing counted yet."""
    return Counted()


@pytest.fixture
def begin(tmp_path: Path, counted: Counted) -> Iterator[Callable[..., PredictionLog]]:
    """Starts logs into a folder, and ends those that a test did not."""
    begun: list[PredictionLog] = []

    def start(url: str | Path = tmp_path, **settings: Any) -> PredictionLog:
        given = LogSettings(str(url), MODEL, **{"keep_days": 0, **settings})  # the days of these tests are long gone
        begun.append(PredictionLog(given, SCHEMA, counted.counters))
        return begun[-1]

    yield start
    for one in begun:
        one.close(timeout=0.5)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flushes and tries again within milliseconds."""
    monkeypatch.setattr(log, "FLUSH_SECONDS", 0.01)
    monkeypatch.setattr(log, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(log, "LONGEST_PAUSE", 0.02)


def answer(identifier: object, score: float = 0.25, *, decision: bool | None = True) -> bytes:
    said = {"id": str(identifier), "score": score, "decision": decision, "model": MODEL}
    return json.dumps(said, separators=(",", ":")).encode()


def put(predictions: PredictionLog, *identifiers: object, at: float = NOON, row: Any = ROW) -> None:
    for identifier in identifiers:
        predictions.put(answer(identifier), at, row, 0.0005)


def read(folder: Path) -> list[dict[str, Any]]:
    """Everything that was logged below a folder, in the order of the files' names and lines."""
    return [json.loads(line) for path in sorted(folder.rglob("*.jsonl")) for line in path.read_bytes().splitlines()]


def identifiers(folder: Path) -> list[str]:
    return [entry["id"] for entry in read(folder)]


def eventually(is_so: Callable[[], bool], seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while not is_so() and time.monotonic() < end:
        time.sleep(0.005)
    return is_so()


class TestLine:
    """What is logged of a prediction."""

    def test_a_line_holds_the_question_and_the_answer(
        self, begin: Callable[..., PredictionLog], tmp_path: Path
    ) -> None:
        """In this order, the time in UTC, without the private column."""
        predictions = begin()

        predictions.put(answer("a-1", 0.1 + 0.2, decision=False), NOON, ROW, 0.0005)
        predictions.close()

        (path,) = tmp_path.rglob("*.jsonl")
        assert path.read_text() == (
            '{"id":"a-1","score":0.30000000000000004,"decision":false,"model":"' + MODEL + '",'
            '"at":"2013-07-04T12:00:00.250000Z","seconds":0.0005,"inputs":{"origin":"EWR","flight":1545}}\n'
        )

    def test_a_file_is_found_by_model_and_day(self, begin: Callable[..., PredictionLog], tmp_path: Path) -> None:
        """The name tells the host and the process, so that workers never share one."""
        predictions = begin()

        put(predictions, "a")
        predictions.close()

        (path,) = tmp_path.rglob("*.jsonl")
        assert path.parent == tmp_path / "3f9a0c1b2d4e5f60" / "2013-07-04"
        assert path.name.endswith(f"-{os.getpid()}-0.jsonl")

    def test_a_regression_has_no_decision(self, begin: Callable[..., PredictionLog], tmp_path: Path) -> None:
        """It is null, as in the answer."""
        predictions = begin()

        predictions.put(answer("a", 12.5, decision=None), NOON, ROW, 0.0005)
        predictions.close()

        assert [(entry["score"], entry["decision"]) for entry in read(tmp_path)] == [(12.5, None)]

    def test_the_row_itself_is_left_as_it_was(self, begin: Callable[..., PredictionLog]) -> None:
        """The private column is taken out of a copy: the service may still need it."""
        row = dict(ROW)
        predictions = begin()

        put(predictions, "a", row=row)
        predictions.close()

        assert row == {"origin": "EWR", "flight": 1545, "tailnum": "N14228"}

    @pytest.mark.parametrize("row", [{"flight": 2**70}, {"flight": object()}, {"origin": "\ud800"}, None])
    def test_a_row_that_cannot_be_encoded_is_dropped_alone(
        self, begin: Callable[..., PredictionLog], counted: Counted, tmp_path: Path, row: Any
    ) -> None:
        """Those around it are written."""
        predictions = begin()

        put(predictions, "a")
        put(predictions, "b", row=row)
        put(predictions, "c", at=float("nan"))
        put(predictions, "d")
        predictions.close()

        assert identifiers(tmp_path) == ["a", "d"]
        assert (counted.written, counted.dropped, counted.failed) == (2, 2, 0)


class TestPrivate:
    """What the schema marks private never gets out in clear."""

    def test_a_private_column_can_be_hashed(self, begin: Callable[..., PredictionLog], tmp_path: Path) -> None:
        """HMAC-SHA-256 of column and value under the salt; what is missing stays missing."""
        predictions = begin(private="hash", salt="pepper")

        put(predictions, "a")
        put(predictions, "b", row=ROW | {"tailnum": None})
        predictions.close()

        first, second = read(tmp_path)
        assert first["inputs"] == {
            "origin": "EWR",
            "flight": 1545,
            # printf '["tailnum","N14228"]' | openssl dgst -sha256 -hmac pepper
            "tailnum": "f64c641371b393e4887cb2a18f138faee0b92226c54cdb3612f8c5267b5a98e2",
        }
        assert second["inputs"] == {"origin": "EWR", "flight": 1545}

    def test_a_hash_without_a_salt_would_hide_nothing(
        self, begin: Callable[..., PredictionLog], tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """So the column is left out, and that is said once."""
        with caplog.at_level(logging.WARNING):
            predictions = begin(private="hash")
            put(predictions, "a", "b")
            predictions.close()

        assert [entry["inputs"] for entry in read(tmp_path)] == [{"origin": "EWR", "flight": 1545}] * 2
        assert caplog.messages == ["prediction log: RATCHET_LOG_SALT is not set, so tailnum is left out, not hashed"]


class TestFiles:
    """When a file begins and ends, and when it goes."""

    @pytest.mark.usefixtures("hasty")
    def test_a_prediction_can_be_read_soon_after(
        self, begin: Callable[..., PredictionLog], counted: Counted, tmp_path: Path
    ) -> None:
        """Without the log being closed, and as a whole line."""
        predictions = begin()

        put(predictions, "a")

        assert eventually(lambda: counted.written == 1)
        assert identifiers(tmp_path) == ["a"]
        assert predictions.waiting == 0

    def test_while_rows_come_they_are_written_more_often(
        self, begin: Callable[..., PredictionLog], counted: Counted, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Few at a time, for a core that writes many at once answers nobody meanwhile."""
        monkeypatch.setattr(log, "FLUSH_SECONDS", 3600.0)
        predictions = begin(queue=4)

        put(predictions, "a", "b")  # half of what may wait wakes the thread
        assert eventually(lambda: counted.written == 2)
        put(predictions, "c")

        assert eventually(lambda: counted.written == 3)

    def test_rows_of_less_than_a_handful_are_written_too(
        self, begin: Callable[..., PredictionLog], tmp_path: Path
    ) -> None:
        """Encoding waits for a handful, or for the next time that is written: each row is there once, in its order."""
        names = [str(number) for number in range(2 * log.HANDFUL + 3)]
        predictions = begin()

        put(predictions, *names)
        predictions.close()

        assert identifiers(tmp_path) == names

    def test_a_file_ends_after_so_many_rows(self, begin: Callable[..., PredictionLog], tmp_path: Path) -> None:
        """The rest goes into the next one."""
        predictions = begin(rotate_rows=10)

        put(predictions, *range(25))
        predictions.close()

        assert [len(path.read_text().splitlines()) for path in sorted(tmp_path.rglob("*.jsonl"))] == [10, 10, 5]
        assert identifiers(tmp_path) == [str(number) for number in range(25)]

    @pytest.mark.usefixtures("hasty")
    def test_a_file_ends_at_an_age(self, begin: Callable[..., PredictionLog], counted: Counted, tmp_path: Path) -> None:
        """Whatever it holds."""
        predictions = begin(rotate_seconds=0.05)

        put(predictions, "a")
        assert eventually(lambda: counted.written == 1)
        time.sleep(0.06)
        put(predictions, "b")
        predictions.close()

        assert [path.read_text().count("\n") for path in tmp_path.rglob("*.jsonl")] == [1, 1]

    def test_a_new_day_begins_a_new_folder(self, begin: Callable[..., PredictionLog], tmp_path: Path) -> None:
        """By the time of the request; one that was overtaken at midnight stays where the newer ones are."""
        predictions = begin()

        put(predictions, "a", at=NOON)
        put(predictions, "b", at=NOON + DAY)
        put(predictions, "c", at=NOON)
        predictions.close()

        folders = {day.name: identifiers(day) for day in (tmp_path / MODEL[:16]).iterdir()}
        assert folders == {"2013-07-04": ["a"], "2013-07-05": ["b", "c"]}

    @pytest.mark.parametrize("target", ["{folder}", "file://{folder}", "memory://again"])
    def test_nothing_is_written_over(self, begin: Callable[..., PredictionLog], tmp_path: Path, target: str) -> None:
        """A container that starts again has the same host and process number as before."""
        url = target.format(folder=tmp_path)
        for identifier in "ab":
            predictions = begin(url)
            put(predictions, identifier)
            predictions.close()

        system, folder = fsspec.core.url_to_fs(url)
        held = [json.loads(system.cat_file(path))["id"] for path in sorted(system.find(folder))]
        assert held == ["a", "b"]

    @pytest.mark.usefixtures("hasty")
    def test_a_file_that_someone_deletes_is_begun_anew(
        self, begin: Callable[..., PredictionLog], counted: Counted, tmp_path: Path
    ) -> None:
        """Rows do not vanish into a file without a name."""
        predictions = begin()
        put(predictions, "a")
        assert eventually(lambda: counted.written == 1)
        next(tmp_path.rglob("*.jsonl")).unlink()

        put(predictions, "b")
        predictions.close()

        assert identifiers(tmp_path) == ["b"]

    def test_workers_write_into_files_of_their_own(self, tmp_path: Path) -> None:
        """Every row of each is there."""
        script = WORKER + "for number in range(1000): put(str(number))\nlog.close()\n"
        workers = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path)]) for _ in range(2)]

        assert [worker.wait(60) for worker in workers] == [0, 0]

        assert sorted(len(path.read_text().splitlines()) for path in tmp_path.rglob("*.jsonl")) == [1000, 1000]
        assert {path.name.split("-")[-2] for path in tmp_path.rglob("*.jsonl")} == {str(one.pid) for one in workers}


class TestRetention:
    """Files of days that are too long ago."""

    @pytest.fixture(params=["file", "memory"])
    def target(self, request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Any, str]:
        """A folder with files of several days and models, and with what others have put there."""
        system = fsspec.filesystem(request.param)
        folder = str(tmp_path / "log") if request.param == "file" else "/retention"
        with suppress(FileNotFoundError):
            system.rm(folder, recursive=True)
        for name in (*self.OLD, *self.KEPT):
            system.makedirs(f"{folder}/{name}".rpartition("/")[0], exist_ok=True)
            system.pipe_file(f"{folder}/{name}", b"{}\n")
        return system, folder

    TODAY = datetime.now(UTC).date()
    LIMIT = (TODAY - timedelta(days=7)).isoformat()
    BEFORE = (TODAY - timedelta(days=8)).isoformat()
    OLD: ClassVar = [f"{MODEL[:16]}/{BEFORE}/web-1-0.jsonl", "0123456789abcdef/2013-07-04/web-2-7.jsonl"]
    KEPT: ClassVar = [
        f"{MODEL[:16]}/{LIMIT}/web-1-0.jsonl",
        f"{MODEL[:16]}/2013-07-04/notes.txt",
        f"{MODEL[:16]}/2013-07-04/web-1-0.jsonl.gz",
        "backup/2013-07-04/web-1-0.jsonl",
        "0123456789abcdef/old/web-1-0.jsonl",
        "README.md",
    ]

    @pytest.mark.usefixtures("hasty")
    def test_old_files_of_the_log_are_deleted_and_nothing_else(
        self, begin: Callable[..., PredictionLog], target: tuple[Any, str]
    ) -> None:
        """Of any model; empty days go, too."""
        system, folder = target
        begin(
            f"{system.protocol[0] if isinstance(system.protocol, tuple) else system.protocol}://{folder}", keep_days=7
        )

        assert eventually(lambda: not any(system.exists(f"{folder}/{name}") for name in self.OLD))

        left = [path.partition(f"{folder}/")[2] for path in system.find(folder)]
        assert sorted(left) == sorted(self.KEPT)
        assert not system.exists(f"{folder}/{MODEL[:16]}/{self.BEFORE}")

    def test_nothing_is_deleted_when_all_is_to_be_kept(
        self, begin: Callable[..., PredictionLog], target: tuple[Any, str]
    ) -> None:
        """Zero days: for ever."""
        system, folder = target
        predictions = begin(folder if system.protocol != "memory" else f"memory://{folder}", keep_days=0)

        put(predictions, "a")
        predictions.close()

        assert all(system.exists(f"{folder}/{name}") for name in (*self.OLD, *self.KEPT))


class Shaky(MemoryFileSystem):
    """An object store that can be away, or take its time."""

    protocol = "shaky"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    is_up, is_asked = threading.Event(), threading.Event()
    is_slow = False

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("shaky://")))

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        """Store an object, when it is there."""
        self.is_asked.set()
        if self.is_slow:
            self.is_up.wait(30)
        if not self.is_up.is_set():
            raise ConnectionError("the bucket is away")
        super().pipe_file(path, value, mode=mode, **kwargs)

    def ids(self) -> list[str]:
        """What it holds, object by object."""
        held = [self.cat_file(path) for path in sorted(self.find("/"), key=_number)]
        return [json.loads(line)["id"] for content in held for line in content.splitlines()]


def _number(path: str) -> int:
    return int(path.rpartition("-")[2].removesuffix(".jsonl"))


fsspec.register_implementation("shaky", Shaky, clobber=True)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shaky]:
    """An empty store that is away."""
    monkeypatch.setattr(Shaky, "is_slow", False)
    Shaky.store.clear()
    Shaky.is_up.clear()
    Shaky.is_asked.clear()
    yield Shaky()
    Shaky.is_up.set()


@pytest.mark.usefixtures("hasty")
class TestTrouble:
    """A target that fails costs rows at worst, and the counters say how many."""

    def test_what_fits_the_queue_outlives_an_outage(
        self, begin: Callable[..., PredictionLog], counted: Counted, store: Shaky
    ) -> None:
        """Once and in order, when the target is back; until then every try counts."""
        predictions = begin("shaky://bucket", rotate_rows=3, queue=20)

        put(predictions, *range(10))
        assert eventually(lambda: counted.failed >= 6)
        assert (counted.written, predictions.waiting) == (0, 10)
        store.is_up.set()
        predictions.close()

        assert store.ids() == [str(number) for number in range(10)]
        assert (counted.written, counted.dropped, predictions.waiting) == (10, 0, 0)

    def test_a_slow_target_never_holds_up_a_request(
        self, begin: Callable[..., PredictionLog], counted: Counted, store: Shaky
    ) -> None:
        """What no longer fits the queue is dropped and counted."""
        store.__class__.is_slow = True
        predictions = begin("shaky://bucket", rotate_rows=1, queue=5)
        put(predictions, "stuck")
        assert store.is_asked.wait(20)

        began = time.monotonic()
        put(predictions, *range(1000))
        took = time.monotonic() - began

        assert took < 1.0
        assert (counted.dropped, predictions.waiting) == (995, 6)
        store.is_up.set()
        predictions.close()
        assert store.ids() == ["stuck", "0", "1", "2", "3", "4"]
        assert (counted.written, counted.dropped) == (6, 995)

    def test_closing_does_not_wait_for_a_dead_target(
        self, begin: Callable[..., PredictionLog], counted: Counted, store: Shaky, caplog: pytest.LogCaptureFixture
    ) -> None:
        """What it did not take is counted as lost, once."""
        predictions = begin("shaky://bucket")
        put(predictions, *range(10))

        began = time.monotonic()
        predictions.close(timeout=0.2)
        predictions.close(timeout=0.2)

        assert time.monotonic() - began < 2
        assert (counted.written, counted.dropped) == (0, 10)
        assert caplog.messages[-1] == "prediction log: closed with 10 rows that the target did not take"

    def test_a_closed_log_takes_nothing(
        self, begin: Callable[..., PredictionLog], counted: Counted, tmp_path: Path
    ) -> None:
        """And says so in the counter."""
        predictions = begin()
        predictions.close()

        put(predictions, "late")

        assert (counted.dropped, predictions.waiting) == (1, 0)
        assert identifiers(tmp_path) == []

    def test_an_outage_is_told_once_and_so_is_its_end(
        self, begin: Callable[..., PredictionLog], counted: Counted, store: Shaky, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Not with every try: the log of the service stays readable."""
        predictions = begin("shaky://bucket", rotate_rows=1)
        put(predictions, "a")
        assert eventually(lambda: counted.failed >= 5)
        store.is_up.set()
        predictions.close()

        first, last = caplog.messages
        assert first == "prediction log: the bucket is away; rows wait, and are lost when 10001 do"
        assert last.startswith("prediction log: works again after ")

    @pytest.mark.parametrize("place", ["/proc/predictions", "{folder}/file/below"])
    def test_a_folder_that_cannot_be_made_fails_no_request(
        self, begin: Callable[..., PredictionLog], counted: Counted, tmp_path: Path, place: str
    ) -> None:
        """It is tried again and again."""
        (tmp_path / "file").write_text("")
        predictions = begin(place.format(folder=tmp_path))

        put(predictions, "a", "b")

        assert eventually(lambda: counted.failed >= 4)
        assert (counted.written, counted.dropped, predictions.waiting) == (0, 0, 2)

    def test_a_folder_that_can_be_made_at_last_gets_what_waited(
        self, begin: Callable[..., PredictionLog], counted: Counted, tmp_path: Path
    ) -> None:
        """Someone mounts it later."""
        blocked = tmp_path / "file"
        blocked.write_text("")
        predictions = begin(blocked / "below")
        put(predictions, "a")
        assert eventually(lambda: counted.failed >= 2)

        blocked.unlink()
        predictions.close()

        assert identifiers(tmp_path) == ["a"]
        assert (counted.written, counted.dropped) == (1, 0)

    def test_a_kind_of_target_that_is_not_installed_is_told_at_start(self, counted: Counted) -> None:
        """A typing error is no outage."""
        with pytest.raises(RatchetError, match="RATCHET_LOG: nowhere:// cannot be used"):
            PredictionLog(LogSettings("nowhere://bucket", MODEL), SCHEMA, counted.counters)


# Puts rows into the folder that it is given; `counts` says written, dropped, failed.
WORKER = f"""
import sys, time
from ratchet.serving.log import Counters, PredictionLog
from ratchet.serving.targets import LogSettings
class Count(int):
    n = 0
    def inc(self, amount=1):
        self.n += amount
counters = Counters(Count(), Count(), Count())
log = PredictionLog(LogSettings(sys.argv[1], "{MODEL}", queue=100_000, keep_days=0), {SCHEMA!r}, counters)
def put(identifier):
    log.put(b'{{"id":"%s"}}' % str(identifier).encode(), {NOON}, {ROW!r}, 0.0005)
def counts():
    print(counters.written.n, counters.dropped.n, counters.failed.n > 0, flush=True)
"""


class TestSystem:
    """Crashes and disks, as they are."""

    def test_a_crash_leaves_whole_lines_but_for_the_last(self, tmp_path: Path) -> None:
        """SIGKILL while it writes; what it wrote before can be joined."""
        script = (
            WORKER
            + "number = 0\nwhile True:\n    put(str(number)); number += 1\n    if number % 500 == 0: time.sleep(0.01)\n"
        )
        with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)]) as worker:
            assert eventually(lambda: sum(path.stat().st_size for path in tmp_path.rglob("*.jsonl")) > 1_000_000)
            worker.send_signal(signal.SIGKILL)

        content = b"".join(
            path.read_bytes() for path in sorted(tmp_path.rglob("*.jsonl"), key=lambda p: _number(p.name))
        )
        whole = content.splitlines(keepends=True)
        whole = whole if whole[-1].endswith(b"\n") else whole[:-1]
        assert [json.loads(line)["id"] for line in whole] == [str(number) for number in range(len(whole))]

    def test_a_full_disk_leaves_whole_lines_and_goes_on_when_there_is_room(self, tmp_path: Path) -> None:
        """The kernel takes half a write and refuses the rest; the half is taken back, and nothing comes twice."""
        limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({}, resource.RLIM_INFINITY))\n"
        script = (
            *(WORKER, limit.format(100_000)),
            "for number in range(2000):\n    put(str(number))\n    if number == 200: time.sleep(1.5)\n",
            "time.sleep(2.5)\ncounts()\n",
            *("sys.stdin.readline()\n", limit.format("resource.RLIM_INFINITY"), "log.close(30)\ncounts()\n"),
        )
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen([sys.executable, "-c", "".join(script), str(tmp_path)], **pipes) as worker:
            assert worker.stdout is not None
            full = worker.stdout.readline().split()
            held = identifiers(tmp_path)
            said, _ = worker.communicate("\n", timeout=60)

        assert full[1:] == ["0", "True"]
        assert 0 < int(full[0]) < 2000
        assert held == [str(number) for number in range(int(full[0]))]
        assert said.split() == ["2000", "0", "True"]
        assert identifiers(tmp_path) == [str(number) for number in range(2000)]

    def test_a_full_file_system_goes_on_when_someone_makes_room(
        self, begin: Callable[..., PredictionLog], counted: Counted, tmp_path: Path, hasty: None
    ) -> None:
        """A real one, of 256 KiB, that something else has filled."""
        disk = tmp_path / "disk"
        disk.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], capture_output=True, check=False
        )
        if mounted.returncode:
            pytest.skip("needs the right to mount")
        try:
            (disk / "other").write_bytes(bytes(200 * 1024))
            predictions = begin(disk / "log")
            put(predictions, *range(600))
            assert eventually(lambda: counted.failed > 0)
            assert counted.written < 600

            (disk / "other").unlink()
            predictions.close()

            assert identifiers(disk) == [str(number) for number in range(600)]
            assert (counted.written, counted.dropped) == (600, 0)
        finally:
            subprocess.run(["umount", "--lazy", str(disk)], check=True)


class TestThreads:
    """Whoever puts rows."""

    def test_many_threads_lose_no_row_without_its_being_counted(
        self, begin: Callable[..., PredictionLog], counted: Counted, tmp_path: Path
    ) -> None:
        """Rows of eight threads, more than fit: each is a line, or one more in the counter."""
        predictions = begin(queue=500)
        threads = [
            threading.Thread(target=put, args=(predictions, *(f"{name}-{number}" for number in range(2000))))
            for name in range(8)
        ]

        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        predictions.close()

        found = identifiers(tmp_path)
        assert len(found) == len(set(found)) == counted.written
        assert counted.written + counted.dropped == 16_000
        assert counted.failed == 0
