"""Each table of the settings makes the channel that it is of."""

from __future__ import annotations

from pathlib import Path

from app.alerts.channels import channels_of
from app.settings import load_settings

TABLES = """
[channels.am]
kind = "alertmanager"
urls = ["http://127.0.0.1:9093"]

[channels.hook]
kind = "webhook"
url = "http://127.0.0.1:1/in"
secrets = ["0123456789abcdef"]

[channels.people]
kind = "apprise"
urls = ["json://127.0.0.1"]
"""


def test_channels_have_the_names_of_their_tables(tmp_path: Path) -> None:
    (tmp_path / "foreshock.toml").write_text(TABLES)
    made = channels_of(load_settings(tmp_path / "foreshock.toml").channels)
    assert {name: (type(channel).__name__, channel.name) for name, channel in made.items()} == {
        "am": ("Alertmanager", "am"),
        "hook": ("Webhook", "hook"),
        "people": ("AppriseChannel", "people"),
    }
    assert channels_of({}) == {}
