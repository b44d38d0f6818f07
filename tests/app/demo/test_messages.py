"""Every symptom has words in every language, with numbers and ids from the salt."""

from __future__ import annotations

import pytest

from app.demo.messages import compose, info
from app.demo.symptom import Symptom
from app.demo.topology import TOPOLOGY

WORDS = {"svc": "cart", "op": "GET /cart", "peer": "user:3012", "host": "db.internal", "port": "5432", "status": "503"}
LANGUAGES = sorted({component.language for component in TOPOLOGY.components})


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("symptom", [symptom for symptom in Symptom if symptom])
def test_every_symptom_has_words_in_every_language(symptom: Symptom, language: str) -> None:
    for variant in range(4):
        trouble = compose(symptom, language, variant, 12345678901234567, WORDS)
        assert trouble.type
        assert trouble.message
        assert not any(word in trouble.message for word in ("{n}", "{ms}", "{id}", "{host}"))


def test_the_salt_changes_numbers_and_the_variant_changes_words() -> None:
    one = compose(Symptom.BUG, "python", 0, 1 << 40, WORDS)
    assert one != compose(Symptom.BUG, "python", 0, 1 << 41, WORDS)
    assert one.type != compose(Symptom.BUG, "python", 1, 1 << 40, WORDS).type
    assert one == compose(Symptom.BUG, "python", 3, 1 << 40, WORDS)


def test_everyday_lines_differ() -> None:
    assert len({info(salt << 13, WORDS) for salt in range(8)}) > 1
