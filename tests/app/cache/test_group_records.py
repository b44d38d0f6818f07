"""A group's document keeps everything that is needed to go on from it."""

from __future__ import annotations

from dataclasses import replace

from app.cache.documents import decode_document, encode_document
from app.cache.group_records import GroupRecord
from features.likeness import Traits
from features.plan import plan
from features.symptom import Symptom, Symptoms
from tests.group_builders import a_group


def test_a_group_survives_its_document() -> None:
    shown = Symptoms("default", "payment", 60, (Symptom("errors", 0, 9.0),), (1,))
    group = replace(
        a_group(), evidence=(shown,), plan=plan(a_group().causes, {"payment": ["timeout"]}, []), kinds={"payment": ("timeout",)}
    )
    assert decode_document(encode_document(group), GroupRecord) == group


def test_a_group_is_known_by_causes_fingerprints_and_categories() -> None:
    group = replace(a_group(causes=["payment"]), fingerprints=("f",), categories=("network",))
    assert group.traits() == Traits({"payment": 1.0}, frozenset("f"), frozenset(["network"]))
