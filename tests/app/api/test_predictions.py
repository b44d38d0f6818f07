"""Services and predictions over REST: shapes, filters, order, age, entity tags."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.api.schemas import ExplanationOut, Items, PredictionOut, ServiceOut, ServicePredictionOut
from models.prediction import HORIZONS, Chance, Prediction
from tests.api_builders import Api, a_prediction, a_service_summary, an_explanation, put_prediction, put_service

PREDICTIONS = "/api/v1/predictions"


def listed(api: Api, query: str = "") -> list[tuple[str, str]]:
    response = api.get(f"{PREDICTIONS}?{query}")
    assert response.status_code == 200, response.text
    return [(item["service"], item["operation"]) for item in response.json()["items"]]


def shop(api: Api) -> None:
    for service, operation, risk in (("cart", "*", 0.4), ("cart", "GET /cart", 0.5), ("payment", "*", 0.2)):
        put_prediction(api.documents, a_prediction(service, operation, risk=risk), an_explanation())


def test_services_are_listed_by_name(api: Api) -> None:
    put_service(api.documents, a_service_summary("payment"))
    put_service(api.documents, a_service_summary("cart/x"))
    response = api.get("/api/v1/services")
    assert [item.service for item in Items[ServiceOut].model_validate_json(response.content).items] == ["cart/x", "payment"]
    first = api.get("/api/v1/services?limit=1").json()
    second = api.get(f"/api/v1/services?limit=1&cursor={first['next']}").json()
    assert ([item["service"] for item in first["items"] + second["items"]], second["next"]) == (["cart/x", "payment"], None)


def test_list_is_riskiest_first_and_has_the_stable_shape(api: Api) -> None:
    shop(api)
    response = api.get(PREDICTIONS)
    page = Items[PredictionOut].model_validate_json(response.content)
    assert [(item.service, item.operation) for item in page.items] == [("cart", "GET /cart"), ("cart", "*"), ("payment", "*")]
    item = response.json()["items"][0]
    assert set(item) == {
        *("id", "tenant", "service", "operation", "as_of", "status", "horizons", "categories", "reasons", "anomaly"),
        *("model_version", "age_s", "expires_at", "feedback"),
    }
    assert item["horizons"]["60min"] == {"probability": 0.5, "lower": 0.25, "upper": 0.5}


def test_filters_choose(api: Api) -> None:
    shop(api)
    assert listed(api, "operations=whole") == [("cart", "*"), ("payment", "*")]
    assert listed(api, "service=cart") == [("cart", "GET /cart"), ("cart", "*")]
    assert listed(api, "operation=GET%20/cart") == [("cart", "GET /cart")]
    assert listed(api, "min_probability=0.4") == [("cart", "GET /cart"), ("cart", "*")]
    assert listed(api, "min_probability=0.11&horizon=5min") == [("cart", "GET /cart")]
    assert listed(api, "status=ok") == [("cart", "GET /cart"), ("cart", "*"), ("payment", "*")]
    assert listed(api, "status=stale") == []


def test_prediction_past_its_expiry_is_stale_and_says_its_age(api: Api) -> None:
    shop(api)
    api.clock.move(120.0)
    assert {item["status"] for item in api.get(PREDICTIONS).json()["items"]} == {"ok"}
    api.clock.move(0.5)
    items = api.get(f"{PREDICTIONS}?status=stale").json()["items"]
    assert [(item["status"], item["age_s"]) for item in items] == [("stale", 120.5)] * 3
    assert listed(api, "status=ok") == []


def test_age_is_never_negative(api: Api) -> None:
    shop(api)
    api.clock.move(-5.0)
    assert api.get(f"{PREDICTIONS}/cart").json()["age_s"] == 0.0


def chanced(service: str, chances: tuple[float, ...]) -> Prediction:
    """Return a prediction whose probabilities rise with the horizon."""
    horizons = dict(zip(HORIZONS, (Chance(one, one, one) for one in chances), strict=True))
    return replace(a_prediction(service), horizons=horizons)


CHANCES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=3, max_size=3).map(sorted).map(tuple)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(st.lists(CHANCES, max_size=12), st.integers(1, 5), st.sampled_from([None, *HORIZONS]))
def test_paging_through_predictions_yields_each_once_in_the_order_of_a_horizon(
    api: Api, chances: list[tuple[float, ...]], limit: int, horizon: str | None
) -> None:
    for document in api.documents.items("predictions"):
        api.documents.delete("predictions", document.key)
    for number, one in enumerate(chances):
        put_prediction(api.documents, chanced(f"service-{number:02}", one))
    seen: list[tuple[float, str]] = []
    query = f"{PREDICTIONS}?limit={limit}" + (f"&sort_by={horizon}" if horizon else "")
    page = api.get(query).json()
    while True:
        seen += [(-item["horizons"][horizon or "60min"]["probability"], item["service"]) for item in page["items"]]
        if page["next"] is None:
            break
        page = api.get(f"{query}&cursor={page['next']}").json()
    place = list(HORIZONS).index(horizon or "60min")
    assert seen == sorted((-one[place], f"service-{number:02}") for number, one in enumerate(chances))


def test_order_and_bound_may_be_of_different_horizons(api: Api) -> None:
    for service, chances in (("slow", (0.0, 0.1, 0.9)), ("soon", (0.3, 0.3, 0.3)), ("calm", (0.0, 0.0, 0.1))):
        put_prediction(api.documents, chanced(service, chances))
    assert listed(api) == [("slow", "*"), ("soon", "*"), ("calm", "*")]
    assert listed(api, "horizon=5min") == listed(api), "it says what min_probability is of, nothing of the order"
    assert listed(api, "sort_by=5min") == [("soon", "*"), ("calm", "*"), ("slow", "*")]
    assert listed(api, "sort_by=5min&min_probability=0.2&horizon=60min") == [("soon", "*"), ("slow", "*")]


def test_a_cursor_of_another_order_is_refused(api: Api) -> None:
    shop(api)
    first = api.get(f"{PREDICTIONS}?limit=1&sort_by=5min").json()["next"]
    assert len(listed(api, f"limit=1&sort_by=5min&cursor={first}")) == 1
    for query, told in (
        ("", "of a page of predictions, got one of 'predictions by 5min'"),
        ("&sort_by=15min", "of a page of predictions by 15min, got one of 'predictions by 5min'"),
    ):
        response = api.get(f"{PREDICTIONS}?cursor={first}{query}")
        assert (response.status_code, response.json()["type"]) == (400, "urn:foreshock:problem:invalid-cursor")
        assert told in response.json()["detail"]
    response = api.get(f"{PREDICTIONS}?sort_by=30min")
    assert response.status_code == 422
    assert "query.sort_by: Input should be '5min', '15min' or '60min', got '30min'" in response.json()["detail"]


def test_cursor_that_no_page_gave_is_a_problem(api: Api) -> None:
    response = api.get(f"{PREDICTIONS}?cursor=bm90aGluZw")
    assert (response.status_code, response.json()["type"]) == (400, "urn:foreshock:problem:invalid-cursor")


def test_service_is_answered_with_its_operations(api: Api) -> None:
    shop(api)
    body = ServicePredictionOut.model_validate_json(api.get(f"{PREDICTIONS}/cart").content)
    assert (body.operation, [part.operation for part in body.operations]) == ("*", ["GET /cart"])


def test_service_name_may_hold_anything(api: Api) -> None:
    for service in ("shop/cart", "ünïcode 50%", "*"):
        put_prediction(api.documents, a_prediction(service, prediction_id="p"))
    for path, service in (("shop%2Fcart", "shop/cart"), ("%C3%BCn%C3%AFcode%2050%25", "ünïcode 50%"), ("%2A", "*")):
        assert api.get(f"{PREDICTIONS}/{path}").json()["service"] == service


def test_service_without_a_prediction_is_not_found(api: Api) -> None:
    put_prediction(api.documents, a_prediction("cart", "GET /cart"))
    for service in ("nobody", "cart"):
        response = api.get(f"{PREDICTIONS}/{service}")
        assert response.status_code == 404
        assert service in response.json()["detail"]


def test_prediction_carries_entity_tag_age_and_lifetime(api: Api) -> None:
    put_prediction(api.documents, a_prediction(prediction_id="p1"))
    api.clock.move(30.9)
    headers = api.get(f"{PREDICTIONS}/payment").headers
    assert headers["etag"] == 'W/"p1"'
    assert headers["age"] == "30"
    assert headers["cache-control"] == "private, max-age=120"
    assert headers["vary"] == "X-Scope-OrgID"


def test_client_that_holds_the_prediction_gets_304_until_it_changes_or_goes_stale(api: Api) -> None:
    put_prediction(api.documents, a_prediction(prediction_id="p1"))
    tag = api.get(f"{PREDICTIONS}/payment").headers["etag"]
    for held in (tag, '"p1"', f'"other", {tag}', "*"):
        response = api.get(f"{PREDICTIONS}/payment", {"If-None-Match": held})
        assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", tag)
    api.clock.move(121.0)
    stale = api.get(f"{PREDICTIONS}/payment", {"If-None-Match": tag})
    assert (stale.status_code, stale.json()["status"]) == (200, "stale")
    put_prediction(api.documents, a_prediction(prediction_id="p2"))
    assert api.get(f"{PREDICTIONS}/payment", {"If-None-Match": stale.headers["etag"]}).status_code == 200


def test_explanation_holds_contributions_with_values_categories_and_advice(api: Api) -> None:
    put_prediction(api.documents, a_prediction(prediction_id="p1"), an_explanation())
    response = api.get(f"{PREDICTIONS}/p1/explanation")
    body = ExplanationOut.model_validate_json(response.content)
    assert body.groups[0].values == {"errors_log_5": 2.0, "slope": None}
    assert [category.category for category in body.categories] == ["resource", "network"]
    assert body.advice[0].kind == "pool_exhausted"
    assert body.members == {"batch": 0.4, "online": None, "prior": 0.2}
    assert response.headers["etag"] == 'W/"p1"'


def test_explanation_of_a_replaced_or_unexplained_prediction_is_not_found(api: Api) -> None:
    put_prediction(api.documents, a_prediction(prediction_id="p1"), an_explanation())
    put_prediction(api.documents, a_prediction(prediction_id="p2"))
    assert "replaces it" in api.get(f"{PREDICTIONS}/p1/explanation").json()["detail"]
    response = api.get(f"{PREDICTIONS}/p2/explanation")
    assert response.status_code == 404
    assert "no explanation" in response.json()["detail"]


def test_one_tenant_never_sees_anothers_predictions(api: Api) -> None:
    put_prediction(api.documents, a_prediction(tenant="a", prediction_id="p1"), an_explanation())
    mine, other = {"X-Scope-OrgID": "a"}, {"X-Scope-OrgID": "b"}
    for path in (f"{PREDICTIONS}/payment", f"{PREDICTIONS}/p1/explanation"):
        assert (api.get(path, mine).status_code, api.get(path, other).status_code) == (200, 404)
    assert len(api.get(PREDICTIONS, mine).json()["items"]) == 1
    assert api.get(PREDICTIONS, other).json()["items"] == []
