"""Where the work is done: processes of this machine (joblib) or a Dask cluster. Same function, same answers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, Literal, TypeVar, get_args

from ratchet.errors import RatchetError

Engine = Literal["joblib", "dask"]
ENGINES: tuple[Engine, ...] = get_args(Engine)

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def spread(
    work: Callable[[Item], Answer], items: Sequence[Item], engine: Engine, workers: int, unit: str
) -> Iterator[Answer]:
    """The answers as they come, in any order, with a progress bar on a terminal.

    Args:
        work: A function of a module, for it is sent to other processes, as are items and answers.
        items: One call each.
        engine: `joblib` starts processes here. `dask` uses the cluster at `DASK_SCHEDULER_ADDRESS`, which must see the
            same folder, or starts one of worker processes here.
        workers: How many processes; those of a cluster that is already there are as many as they are.
        unit: What an item is, for the progress bar.

    Raises:
        RatchetError: Dask is not installed, or the work itself says so.
    """
    from tqdm import tqdm

    if not items:
        return
    answers = {"joblib": _joblib, "dask": _dask}[engine](work, items, workers)
    yield from tqdm(answers, total=len(items), unit=unit, disable=None)


def _joblib(work: Callable[[Item], Answer], items: Sequence[Item], workers: int) -> Iterator[Answer]:
    from joblib import Parallel, delayed

    yield from Parallel(n_jobs=workers, return_as="generator_unordered")(delayed(work)(item) for item in items)


def _dask(work: Callable[[Item], Answer], items: Sequence[Item], workers: int) -> Iterator[Answer]:
    try:
        from distributed import as_completed
    except ImportError as error:
        raise RatchetError("the engine dask needs Dask: `uv sync --group distributed`, or use joblib") from error
    for future in as_completed(_client(workers).map(work, items, pure=False)):
        yield future.result()
        future.release()


@cache
def _client(workers: int) -> Any:
    """One cluster for all calls, for starting it takes seconds; Dask closes it when the program ends."""
    from distributed import Client, LocalCluster

    there = os.environ.get("DASK_SCHEDULER_ADDRESS")
    return Client(there or LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None))
