"""Recorded lines: merged by event time, resumed where they were, with a marker for every minute passed."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.codec import BatchMessage, TickMessage, unpack
from app.replay import Line, ReplayClock, ReplayReport, append_markers, into_folder, merged, shifted, signal_of, times_of
from app.store.contract import Log
from features.errors import InvalidValue, MalformedBody
from tests.app.ingest.requests import a_log, as_json, logs
from tests.builders import ListLog
from tests.lines import Line as OpenLine
from tests.lines import open_line
from tests.recorded import BEGIN_S, MINUTE_NS, recorded, write_lines

SECOND = 10**9


def at(*seconds: float) -> bytes:
    return as_json(logs(*(a_log(timeUnixNano=str(int((BEGIN_S + s) * SECOND))) for s in seconds)))


def seconds_of(lines: Sequence[Line]) -> list[float]:
    return [(line.time_ns / SECOND) - BEGIN_S for line in lines]


def replayed(line: OpenLine, files: Sequence[Path], most: int | None = None) -> ReplayReport:
    """Replay into a line's store; stop as a crash would after so many lines."""
    seen = 0

    def after_line(_report: ReplayReport) -> None:
        nonlocal seen
        seen += 1
        if seen == most:
            raise KeyboardInterrupt

    line.clock.now_ns = 0  # as in a new process
    return into_folder(merged(files), line.receiver, line.clock, (line.store.log, line.store.documents), 60, after_line)


def test_files_are_merged_by_event_time_and_keep_their_order(tmp_path: Path) -> None:
    one = write_lines(tmp_path / "one.jsonl", [at(0), at(20), at(10), at(40)])
    (tmp_path / "two.jsonl.gz").write_bytes(gzip.compress(at(5) + b"\n\n" + at(30) + b"\n"))
    lines = list(merged([one, tmp_path / "two.jsonl.gz"]))
    assert seconds_of(lines) == [0, 5, 20, 20, 30, 40]
    assert [line.number for line in lines if line.file == lines[0].file] == [0, 1, 2, 3]
    assert [line.number for line in lines if line.file != lines[0].file] == [0, 2]
    assert lines[3].body == at(10), "a late line takes the time of its file so far"


def test_impossible_times_do_not_move_the_clock(tmp_path: Path) -> None:
    year = 365 * 86_400
    bodies = [at(0, 1, year), at(-year), at(2 * year), at(60, year, 61), at(-BEGIN_S - 5), at(90)]
    assert seconds_of(list(merged([write_lines(tmp_path / "f", bodies)]))) == [1, 1, 1, 61, 61, 90]


def test_lines_before_the_first_time_take_that_time(tmp_path: Path) -> None:
    bodies = [b'{"resourceLogs": []}', b"nonsense", at(3)]
    lines = list(merged([write_lines(tmp_path / "f", bodies)]))
    assert seconds_of(lines) == [3, 3, 3]
    assert [line.signal for line in lines] == ["logs", "logs", "logs"]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="cannot read"):
        list(merged([tmp_path / "absent"]))
    (tmp_path / "cut.gz").write_bytes(gzip.compress(at(0) * 1000)[:-20])
    with pytest.raises(InvalidValue, match=r"cannot read .*cut\.gz"):
        list(merged([tmp_path / "cut.gz"]))


def test_a_line_of_no_signal_is_refused() -> None:
    with pytest.raises(MalformedBody, match="must begin with resourceLogs"):
        signal_of(b'{"spans": []}')
    assert [signal_of(b'{"%s": []}' % name) for name in (b"resourceSpans", b"resourceMetrics")] == ["traces", "metrics"]


def test_every_minute_passed_gets_its_marker_in_every_partition(tmp_path: Path) -> None:
    with open_line(tmp_path / "data") as line:
        report = replayed(line, [write_lines(tmp_path / "f", [at(0), at(30), at(61), at(60 * 5), b"{oops"])])
        assert (report.lines, report.malformed, report.records, report.skipped) == (5, 1, 4, 0)
        for partition in range(8):
            messages = [unpack(entry.data) for entry in line.store.log.read(partition, 0)]
            ticks = [message.tick_s - BEGIN_S for message in messages if isinstance(message, TickMessage)]
            assert ticks == [60 * minute for minute in range(7)]


def test_what_is_received_carries_the_largest_event_time_so_far(tmp_path: Path) -> None:
    with open_line(tmp_path / "data") as line:
        replayed(line, [write_lines(tmp_path / "f", [at(10), at(95), at(20)])])
        found = [unpack(entry.data) for n in range(8) for entry in line.store.log.read(n, 0)]
        received = sorted(m.received_at_ns / SECOND - BEGIN_S for m in found if isinstance(m, BatchMessage))
        assert received == [10, 95, 95]


@pytest.mark.parametrize("most", [1, 49, 50, 51, 120])
def test_a_replay_that_stopped_goes_on_behind_what_it_saved(tmp_path: Path, most: int) -> None:
    files = [write_lines(tmp_path / f"{seed}", recorded(20, seed=seed)) for seed in (1, 2)]
    with open_line(tmp_path / "whole") as whole, open_line(tmp_path / "parts") as parts:
        replayed(whole, files)
        with pytest.raises(KeyboardInterrupt):
            replayed(parts, files, most)
        report = replayed(parts, files)
        assert report.skipped <= most
        assert report.skipped >= most - 50
        again = replayed(parts, files)
        assert again.skipped == again.lines
        for line in (whole, parts):
            line.worker.drain()
        assert parts.snapshots() == whole.snapshots()


def test_sparse_lines_are_not_sent_again_after_they_are_forgotten(tmp_path: Path) -> None:
    # Repeats are known for an hour; fifty of these lines last two days.
    file = write_lines(tmp_path / "f", [at(4000 * number) for number in range(6)])
    with open_line(tmp_path / "data") as line:
        with pytest.raises(KeyboardInterrupt):
            replayed(line, [file], 5)
        line.worker.drain()
        replayed(line, [file])
        line.worker.drain()
        line.worker.checkpoint()
        assert line.history.read("errors").num_rows == 6
        assert sum(line.history.read("windows").column("logs").to_pylist()) == 6


def test_the_last_minute_is_closed_even_if_the_replay_stopped_right_before(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "f", [at(n) for n in range(50)])  # progress is saved with the fiftieth
    with open_line(tmp_path / "data") as line:
        with pytest.raises(KeyboardInterrupt):
            replayed(line, [file], 50)
        report = replayed(line, [file])
        assert report.skipped == 50
        line.worker.drain()
        assert line.worker.flow.memory.tick == BEGIN_S // 60 + 1


def test_markers_are_appended_in_groups_without_a_gap() -> None:
    log = ListLog()
    append_markers(_as_log(log), range(5, 405), 60)
    ticks = [[unpack(entry.data) for entry in log.read(n, 0, 1000)] for n in range(8)]
    assert ticks == [[TickMessage(60 * tick) for tick in range(5, 405)]] * 8


def _as_log(log: ListLog) -> Log:
    return log


@given(st.lists(st.integers(0, 3600 * SECOND), min_size=1, max_size=20), st.integers(-MINUTE_NS, 10**17))
def test_all_plausible_times_move_alike(offsets: list[int], shift: int) -> None:
    times = [BEGIN_S * SECOND + offset for offset in offsets]
    body = as_json(logs(*(a_log(timeUnixNano=str(time)) for time in times)))
    moved = shifted(body, shift)
    assert times_of(moved) == [time + shift for time in times]
    assert json.loads(moved)["resourceLogs"][0]["resource"] == json.loads(body)["resourceLogs"][0]["resource"]


def test_impossible_times_stay_impossible_when_the_rest_is_moved() -> None:
    year = 366 * 86_400
    body = at(0, 1, 2, year, -BEGIN_S - 5, -BEGIN_S)
    begin = BEGIN_S * SECOND
    assert times_of(shifted(body, SECOND)) == [
        begin + SECOND, begin + 2 * SECOND, begin + 3 * SECOND, begin + year * SECOND, -5 * SECOND, 0,
    ]  # fmt: skip


def test_a_clock_follows_the_wall_once_told() -> None:
    clock = ReplayClock(5)
    assert clock() == 5
    clock.follow_wall()
    assert clock() > BEGIN_S * SECOND
