"""Recorded telemetry through the same line: OTLP/JSON lines in, with event time as the clock.

Commands call `merged` for the files and then `into_folder` (a data folder), or post the lines to a running service (`app.commands.send_command`). Lines go through `app.ingest` like any request.
"""

from __future__ import annotations

import gzip
import hashlib
import heapq
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from app.ingest.codec import TickMessage, pack
from app.ingest.receive import Receiver
from app.store.contract import Documents, Log
from features.errors import InvalidValue, MalformedBody

__all__ = ["Line", "ReplayClock", "ReplayReport", "append_markers", "into_folder", "merged", "shifted", "signal_of"]

_SIGNALS = {b"resourceLogs": "logs", b"resourceSpans": "traces", b"resourceMetrics": "metrics"}
_TIMES = re.compile(rb'"(?:timeUnixNano|startTimeUnixNano|endTimeUnixNano|observedTimeUnixNano)"\s*:\s*"?(-?\d+)"?')
_BUCKET = "replays"
_SAVE_EVERY = 50  # lines
_GAP_TICKS = 120  # guessed: a recording that pauses for two hours was stopped; shorter silence is the system's
_SAVE_TICKS = 10
_DAY_NS = 86_400 * 10**9
_FAR_NS = 300 * _DAY_NS  # guessed: a pause between two recordings may last months, a clock that is a year off is wrong


@dataclass(frozen=True, slots=True)
class Line:
    """One export request of a file.

    Parameters
    ----------
    file : str
        Hash of the file, the name under which progress is kept.
    number : int
        Of the line, from 0.
    time_ns : int
        Largest plausible event time in it, unix nanoseconds.
    signal : str
        ``logs``, ``traces`` or ``metrics``.
    body : bytes
        OTLP/JSON.
    """

    file: str
    number: int
    time_ns: int
    signal: str
    body: bytes


@dataclass(slots=True)
class ReplayReport:
    """What a replay did; counts of records are those of the ingest path."""

    lines: int = 0
    skipped: int = 0
    malformed: int = 0
    records: int = 0
    bytes: int = 0


@dataclass(slots=True)
class ReplayClock:
    """The clock of a replay: the largest event time so far, or the wall's once the past is in."""

    now_ns: int = 0
    wall: bool = False

    def __call__(self) -> int:
        """Return the time in unix nanoseconds."""
        return time.time_ns() if self.wall else self.now_ns

    def follow_wall(self) -> None:
        """Go on with the wall clock."""
        self.wall = True


def signal_of(body: bytes) -> str:
    """Return the signal of an OTLP/JSON line.

    Raises
    ------
    MalformedBody
        When it names none.

    Examples
    --------
    >>> signal_of(b'{"resourceSpans":[]}')
    'traces'
    """
    found = next((signal for name, signal in _SIGNALS.items() if name in body[:200]), None)
    if found is None:
        raise MalformedBody(f"a line must begin with resourceLogs, resourceSpans or resourceMetrics, got {body[:40]!r}")
    return found


def times_of(body: bytes) -> list[int]:
    """Return all event times of an OTLP/JSON line, unix nanoseconds."""
    return [int(text) for text in _TIMES.findall(body)]


def merged(files: Sequence[Path]) -> Iterator[Line]:
    """Merge files by event time; lines of one file keep their order.

    Parameters
    ----------
    files : sequence of Path
        OTLP/JSON lines, gzipped or not.

    Raises
    ------
    InvalidValue
        When a file cannot be read.
    """
    yield from heapq.merge(*(_lines(path) for path in files), key=lambda line: line.time_ns)


def into_folder(
    lines: Iterator[Line],
    receiver: Receiver,
    clock: ReplayClock,
    store: tuple[Log, Documents],
    tick_s: int,
    after_line: Callable[[ReplayReport], None],
) -> ReplayReport:
    """Send lines through the receiver, with tick markers wherever event time passes one.

    Parameters
    ----------
    lines : iterator of Line
        By event time.
    receiver : Receiver
        With `clock` as its clock.
    clock : ReplayClock
        Moved by the lines.
    store : (Log, Documents)
        For the markers, and for the progress that a second call resumes from.
    tick_s : int
        Seconds of a tick.
    after_line : callable
        Called after every line; may let the worker catch up.

    Returns
    -------
    ReplayReport
        What was done.
    """
    log, documents = store
    report = ReplayReport()
    progress = _Progress.of(documents)
    clock.now_ns = max(clock.now_ns, progress.now_ns)
    for line in lines:
        report.lines += 1
        if line.number <= progress.done.get(line.file, -1):
            report.skipped += 1
            continue
        clock.now_ns = max(clock.now_ns, line.time_ns)
        tick = clock.now_ns // 10**9 // tick_s
        if tick > progress.tick:
            # Lines that are sent again after a crash are known as repeats for an hour only.
            if tick - progress.saved_tick >= _SAVE_TICKS:
                progress.save(documents)
            append_markers(log, _between(progress.tick, tick), tick_s)
            progress.tick = tick
        try:
            batch = receiver.receive("default", line.signal, "json", line.body)  # pyright: ignore[reportArgumentType]
            report.records += batch.n_records
            report.bytes += len(line.body)
        except MalformedBody:
            report.malformed += 1
        progress.reached[line.file], progress.now_ns = line.number, clock.now_ns
        if report.lines % _SAVE_EVERY == 0:
            progress.save(documents)
        after_line(report)
    if progress.tick == clock.now_ns // 10**9 // tick_s and progress.tick:  # the last tick is still open
        append_markers(log, range(progress.tick + 1, progress.tick + 2), tick_s)
        progress.tick += 1
        progress.save(documents)
    return report


@dataclass(slots=True)
class _Progress:
    """How far a replay came: lines by file, the clock, and the newest marker."""

    done: dict[str, int]
    now_ns: int
    tick: int
    saved_tick: int
    reached: dict[str, int] = field(default_factory=dict[str, int])

    @classmethod
    def of(cls, documents: Documents) -> _Progress:
        """Return the progress that an earlier call saved."""
        saved = {d.key: json.loads(d.value) for d in documents.items(_BUCKET)}
        tick = max((int(s["tick"]) for s in saved.values()), default=0)
        now_ns = max((int(s["now_ns"]) for s in saved.values()), default=0)
        return cls({file: int(s["line"]) for file, s in saved.items()}, now_ns, tick, tick)

    def save(self, documents: Documents) -> None:
        """Write what was reached since the last call down, and the time for all files."""
        for file, number in (self.done | self.reached).items():
            value = {"line": number, "now_ns": self.now_ns, "tick": self.tick}
            documents.put(_BUCKET, file, json.dumps(value).encode())
        self.saved_tick = self.tick


def _between(before: int, tick: int) -> Sequence[int]:
    """Return the ticks to close on the way: all of them, but only the ends of a gap in which nobody listened."""
    if not before:
        return (tick,)
    return range(before + 1, tick + 1) if tick - before <= _GAP_TICKS else (before + 1, tick)


def append_markers(log: Log, ticks: Sequence[int], tick_s: int, partitions: Iterable[int] | None = None) -> None:
    """Append the markers of some ticks to partitions, all by default."""
    chosen = range(log.n_partitions) if partitions is None else sorted(partitions)
    messages = [(number, f"tick-{tick}", pack(TickMessage(tick * tick_s))) for tick in ticks for number in chosen]
    for start in range(0, len(messages), 1024):
        log.append_many(messages[start : start + 1024])


def shifted(body: bytes, shift_ns: int) -> bytes:
    """Return an OTLP/JSON line with all its plausible times moved.

    Examples
    --------
    >>> shifted(b'{"timeUnixNano":"1700000000000000000"}', 10**9)
    b'{"timeUnixNano":"1700000001000000000"}'
    """
    middle = _middle(times_of(body))

    def move(match: re.Match[bytes]) -> bytes:
        time_ns = int(match[1])
        if time_ns <= 0 or abs(middle - time_ns) > _FAR_NS:
            return match[0]  # an impossible time stays one
        return match[0].replace(match[1], str(time_ns + shift_ns).encode())

    return _TIMES.sub(move, body)


def _lines(path: Path) -> Iterator[Line]:
    """Yield the lines of a file; those before the first possible time take that time."""
    try:
        name = _hash(path)
        newest = 0
        waiting: list[tuple[int, bytes]] = []
        with _open(path) as file:
            for number, raw in enumerate(file):
                if body := raw.strip():
                    newest = _newest(body, newest)
                    waiting.append((number, body))
                if newest:
                    yield from (Line(name, n, newest, _signal_or_logs(b), b) for n, b in waiting)
                    waiting.clear()
        yield from (Line(name, n, newest, _signal_or_logs(b), b) for n, b in waiting)
    except (OSError, EOFError) as exc:
        raise InvalidValue(f"cannot read {path}: {exc}") from exc


def _newest(body: bytes, before: int) -> int:
    """Return the largest event time that can be true: near most of its line, and not too far after what was seen."""
    times = times_of(body)
    middle = _middle(times)
    if not middle or (before and middle > before + _FAR_NS):
        return before
    return max(before, *(t for t in times if t <= middle + _DAY_NS))


def _middle(times: Sequence[int]) -> int:
    """Return the median of the positive times, which a few wrong ones do not move; 0 without any."""
    positive = sorted(t for t in times if t > 0)
    return positive[len(positive) // 2] if positive else 0


def _signal_or_logs(body: bytes) -> str:
    try:
        return signal_of(body)
    except MalformedBody:
        return "logs"  # the receiver refuses and counts it


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]
