"""Where members are fitted and folds are walked: threads of this process, processes beside it, or a Dask or Ray cluster.

`app.trained` and `app.backtests` enter `Spread.entered` around the work; `training` calls `joblib.Parallel` and does not know which it is.
Every backend comes to the same numbers, to the last bit, on processors of one kind.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal, TypeAlias

from joblib import parallel_config
from joblib.externals.loky import get_reusable_executor

from features.errors import InvalidSetting, StoreFailed

__all__ = ["Backend", "Spread"]

Backend: TypeAlias = Literal["", "threading", "loky", "dask", "ray"]

_PACKAGES = {"dask": "distributed", "ray": "ray"}
_ANSWER_S = 30


@dataclass(frozen=True, slots=True)
class Spread:
    """How a run is spread.

    Parameters
    ----------
    backend : str
        Of joblib; empty takes threads, and one fold after the other.
    address : str
        Of the scheduler, for ``dask`` and ``ray``.
    workers : int
        Members fitted, or folds walked, at a time. A Dask cluster decides that itself.

    Raises
    ------
    InvalidSetting
        When the backend needs an address or a package that is not there.
    """

    backend: Backend = ""
    address: str = ""
    workers: int = 2

    def __post_init__(self) -> None:
        package = _PACKAGES.get(self.backend)
        if package is None:
            return
        if not self.address:
            raise InvalidSetting(f"setting models.joblib_address must name the scheduler of {self.backend}, got ''")
        if find_spec(package) is None:
            raise InvalidSetting(
                f"setting models.joblib_backend: {self.backend} needs the package {package}; pip install 'foreshock[{self.backend}]'"
            )

    @property
    def folds_at_once(self) -> int:
        """How many folds are walked at a time: one in threads of this process, which their members keep busy."""
        return self.workers if self.backend in {"loky", "dask", "ray"} else 1

    @contextmanager
    def entered(self) -> Generator[None]:
        """Let what calls `joblib.Parallel` within run on the backend.

        Raises
        ------
        StoreFailed
            When the scheduler does not answer.
        """
        with ExitStack() as stack:
            if self.backend == "dask":
                stack.enter_context(_dask_client(self.address))
                stack.enter_context(parallel_config(backend="dask", wait_for_workers_timeout=_ANSWER_S))
            elif self.backend == "ray":
                stack.enter_context(_ray_client(self.address))
                stack.enter_context(parallel_config(backend="ray"))
            elif self.backend == "loky":
                stack.enter_context(_processes())
                # A library with threads of its own sums in another order, and the last bits differ.
                stack.enter_context(parallel_config(backend="loky", inner_max_num_threads=1))
            elif self.backend:
                stack.enter_context(parallel_config(backend=self.backend))
            yield


@contextmanager
def _dask_client(address: str) -> Generator[None]:
    # By name, since the package is an extra: who does not spread over a cluster need not install it.
    client_of: Any = import_module("distributed").Client
    try:
        client = client_of(address, timeout=_ANSWER_S)
    except (OSError, ValueError) as exc:  # TimeoutError is an OSError; an address that is none is a ValueError
        raise StoreFailed(f"the Dask scheduler at {address} does not answer: {exc}") from exc
    with client:
        yield


@contextmanager
def _ray_client(address: str) -> Generator[None]:
    ray: Any = import_module("ray")
    try:
        ray.init(address=address, log_to_driver=False)
    except (OSError, ValueError, RuntimeError) as exc:
        raise StoreFailed(f"the Ray cluster at {address} does not answer: {exc}") from exc
    try:
        import_module("ray.util.joblib").register_ray()
        yield
    finally:
        ray.shutdown()


@contextmanager
def _processes() -> Generator[None]:
    """End the processes with the run, also where it is told to stop: they would go on with what nobody waits for."""
    before = None
    if threading.current_thread() is threading.main_thread():
        before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        yield
    finally:
        get_reusable_executor().shutdown(wait=True, kill_workers=True)
        if before is not None:
            signal.signal(signal.SIGTERM, before)
