"""What the fuzzing stands on: seeds that are valid, trees that encode as they were, a comparison that sees every field."""

from __future__ import annotations

import random
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from google.protobuf.descriptor import Descriptor
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from app.ingest.otlp import ENGINE, decoder
from features.batch import Batch, Presence
from tests.fuzz.compare import LIMITS, REFUSED, difference, outcome
from tests.fuzz.memory import leaks
from tests.fuzz.mutate import STRUCTURED, mutant, nested
from tests.fuzz.seeds import MESSAGES, REQUESTS, request
from tests.fuzz.wire import LENGTH, VARINT, Node, read, write
from tests.fuzz.worker import Slate, Totals

SIGNALS = sorted(REQUESTS)


def seeds(signal: str, count: int, seed: int = 1) -> list[bytes]:
    rng = random.Random(seed)
    return [request(rng, signal) for _ in range(count)]


@pytest.mark.parametrize("signal", SIGNALS)
def test_every_seed_is_accepted(signal: str) -> None:
    for body in seeds(signal, 60):
        assert isinstance(outcome(decoder("python"), body, signal, LIMITS["usual"]), Batch)


@pytest.mark.parametrize("signal", SIGNALS)
def test_seeds_fill_every_field_of_the_schema(signal: str) -> None:
    seen: set[str] = set()
    wanted: set[str] = set()

    def visit(nodes: list[Node], message: Descriptor) -> None:
        wanted.update(field.full_name for field in message.fields)
        for node in nodes:
            seen.add(message.fields_by_number[node.number].full_name)
            if isinstance(node.value, list) and node.message is not None:
                visit(node.value, node.message)

    for body in seeds(signal, 200):
        visit(read(body, MESSAGES[signal]), MESSAGES[signal])
    assert wanted - seen == set()


@pytest.mark.parametrize("signal", SIGNALS)
def test_a_tree_encodes_as_it_was_read(signal: str) -> None:
    for body in seeds(signal, 40):
        assert write(read(body, MESSAGES[signal])) == body


def test_lies_are_written_as_told() -> None:
    assert write([Node(1, LENGTH, b"ab", lie=200)]).hex() == "0ac8016162"
    assert write([Node(1, VARINT, 1, stretch=1, stretch_value=2)]).hex() == "8800818000"


@pytest.mark.parametrize("signal", SIGNALS)
def test_mutants_are_both_accepted_and_refused(signal: str) -> None:
    rng = random.Random(2)
    bodies = seeds(signal, 30)
    ends = [outcome(decoder("python"), mutant(rng, bodies, MESSAGES[signal]), signal, LIMITS["tight"]) for _ in range(200)]
    refused = ends.count(REFUSED)
    assert 20 < refused < 180
    assert [end for end in ends if isinstance(end, str) and end != REFUSED] == []


def test_every_mutation_of_a_tree_leaves_something_to_encode() -> None:
    for mutate in STRUCTURED:
        for seed in range(20):
            tree = read(seeds("traces", 1, seed)[0], MESSAGES["traces"])
            if tree:
                mutate(random.Random(seed), tree)
                write(tree)


@pytest.mark.parametrize("pairs", [True, False])
def test_nested_values_are_as_deep_as_asked(*, pairs: bool) -> None:
    nodes = read(nested(7, pairs=pairs), AnyValue.DESCRIPTOR)
    depth = 0
    while isinstance(inner := nodes[-1].value, list):
        nodes = inner
        depth += 1
    assert depth == (7 * 3 if pairs else 7 * 2)


def test_comparison_sees_a_change_of_every_field() -> None:
    batch = next(
        found
        for body in seeds("traces", 50)
        if isinstance(found := outcome(decoder("python"), body, "traces", LIMITS["usual"]), Batch) and len(found.end_trace)
    )
    assert difference(batch, batch) == ""
    for field in fields(Batch):
        value = getattr(batch, field.name)
        if isinstance(value, np.ndarray):
            changed: object = np.concatenate([value, value[:1]])
        elif isinstance(value, tuple):
            changed = (*value, Presence("another", "", ""))
        else:
            changed = {"another": 1} if isinstance(value, dict) else value + type(value)(1)
        assert difference(replace(batch, **{field.name: changed}), batch).startswith(f"{field.name}: ")


def test_comparison_tells_the_last_bit_the_type_and_the_order() -> None:
    sums = np.array([[0.1 + 0.2] * 11])
    assert difference(Batch("traces", counts=sums), Batch("traces", counts=np.array([[0.3] * 11]))) != ""
    assert difference(Batch("traces", n_records=1), Batch("traces", n_records=True)) != ""
    assert difference(Batch("traces", services=("a", "b")), Batch("traces", services=("b", "a"))) != ""
    assert difference(REFUSED, Batch("traces")) == "outcome: refused / accepted"
    assert difference(REFUSED, REFUSED) == ""
    assert difference("raised KeyError: 1", "raised KeyError: 1") != ""


def test_a_heap_that_grows_by_every_call_is_seen() -> None:
    kept: list[bytes] = []
    assert leaks(lambda: kept.append(b""), lambda: 64 * len(kept))
    assert not leaks(lambda: None, lambda: 64 * len(kept))


def test_slate_outlives_its_writer(tmp_path: Path) -> None:
    Slate(tmp_path / "slate").note(Totals(3, 2, 1), "traces-tight", b"body")
    totals, name, body = Slate(tmp_path / "slate").read()
    assert (totals.inputs, totals.accepted, totals.refused, name, body) == (3, 2, 1, "traces-tight", b"body")


@pytest.mark.skipif(
    ENGINE == "python", reason="the C scanner is not built; tests/house/test_extension.py fails where it must be"
)
@pytest.mark.parametrize("signal", SIGNALS)
def test_both_engines_read_a_thousand_mutants_alike(signal: str) -> None:
    rng = random.Random(3)
    bodies = seeds(signal, 60)
    for _ in range(1000):
        body = mutant(rng, bodies, MESSAGES[signal])
        name = rng.choice(sorted(LIMITS))
        ours, theirs = (outcome(decoder(engine), body, signal, LIMITS[name]) for engine in ("c", "python"))
        assert difference(ours, theirs) == "", body.hex()
