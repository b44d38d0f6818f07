"""What is known of a tenant at one moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from app import scene as scene_module
from app.scene import Sources
from tests.api_builders import Clock, an_incident, put_incident
from tests.contracts.stores import FAMILIES
from tests.group_builders import a_verdict, at, put_cascade, put_symptoms, put_verdict


def test_a_scene_is_of_one_tenant_as_of_its_newest_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene_module, "_MOST_READ", 2)
    store = FAMILIES["sqlite"](tmp_path, Clock())
    sources = Sources(store.documents)
    put_cascade(store.documents)
    put_cascade(store.documents, tenant="other")
    put_symptoms(store.documents, "mail", 5, 20)
    put_verdict(store.documents, a_verdict("cart", "it was so", name="v1"))
    put_verdict(store.documents, a_verdict("web", "mistaken", name="v2"))
    put_verdict(store.documents, a_verdict("web", "", name="undo-v2", undoes="v2"))
    assert sorted(sources.tenants()) == ["default", "other"]
    heads = sources.heads("default")
    assert heads.as_of == at(6), "the last detection"
    assert {name: [one.id for one in said] for name, said in heads.verdicts.items()} == {"cart": ["v1"]}
    scene = sources.scene(heads, list(heads.incidents.values()))
    assert scene.as_of == at(20)
    assert set(scene.symptoms) == {"payment", "cart", "web", "mail"}
    assert set(scene.services) == {"payment", "cart", "web"}
    assert set(scene.errors) == {"web", "cart"}, "of the newest incidents, bounded"
    assert {(one.caller, one.callee) for one in scene.edges} == {("web", "cart"), ("cart", "payment")}
    assert scene.symptoms_now().keys() == scene.symptoms.keys()
    store.close()


def test_changes_tell_of_whatever_may_change_a_group(tmp_path: Path) -> None:
    store = FAMILIES["sqlite"](tmp_path, Clock())
    sources = Sources(store.documents)
    seen = [sources.changes]
    for write in (
        lambda: put_incident(store.documents, an_incident()),
        lambda: put_symptoms(store.documents, "payment", 0, 1),
        lambda: put_verdict(store.documents, a_verdict("i1", "so it was")),
    ):
        write()
        seen.append(sources.changes)
    assert len(set(seen)) == 4
    store.close()
