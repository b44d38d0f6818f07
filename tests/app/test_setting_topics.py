"""Every setting is found under the one topic that a person would look for it under."""

from __future__ import annotations

from app.setting_topics import TOPICS, render_topics, topics_of
from docs.generate import setting_names


def test_every_setting_belongs_to_one_topic() -> None:
    assert {name: topics for name in setting_names() if len(topics := topics_of(name)) != 1} == {}


def test_every_name_of_a_topic_is_one_of_a_setting() -> None:
    names = list(setting_names())
    covered = [known for topic in TOPICS for known in topic.settings if any(name.startswith(known) for name in names)]
    assert covered == [known for topic in TOPICS for known in topic.settings]


def test_the_table_links_groups_and_says_where_nothing_is_to_be_set() -> None:
    table = "\n".join(render_topics(setting_names()))
    assert "[`ingest`](#ingest)" in table
    assert table.count("| none |") == 2
