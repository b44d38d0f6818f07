"""Which rules are on is a setting each."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.settings import load_settings
from features.errors import InvalidSetting


def test_rules_keys_and_expressions_come_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('[security.redaction]\nemails = true\nattribute_keys = ["tax.id"]\npatterns.customers = "cust-[0-9]+"\n')
    redaction = load_settings(file).security.redaction
    assert (redaction.emails, redaction.attribute_keys, redaction.patterns) == (True, ("tax.id",), {"customers": "cust-[0-9]+"})


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('patterns."Not a name" = "x"', "no rule's"),
        ('patterns.cards = "x"', "no rule's"),
        ("\n".join(f'patterns.p{n} = "x"' for n in range(33)), "at most 32"),
        ('attribute_keys = [""]', "1 to 256 characters"),
        (f'attribute_keys = ["{"k" * 257}"]', "one has 257"),
        ("card = false", "extra"),
    ],
)
def test_what_cannot_be_is_refused_with_its_name(line: str, why: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(f"[security.redaction]\n{line}\n")
    with pytest.raises(InvalidSetting, match=f"(?i)security.redaction.*{why}"):
        load_settings(file)
