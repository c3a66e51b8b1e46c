"""The calls by which an endpoint of many models loads, asks and unloads them."""

from __future__ import annotations

import json
from dataclasses import replace

from sagelocal.check import hosting, rules
from sagelocal.check.archives import Tree, joined
from sagelocal.check.containers import Engine, StartError
from sagelocal.check.findings import Finding, broken, kept, skipped
from sagelocal.check.requests import Answer, invoke, send
from sagelocal.check.subject import LABEL_MULTI_MODEL, Subject

_JSON = {"Content-Type": "application/json"}
_FOLDER = "/opt/ml/models"
_NAME = "0123456789abcdef0123456789abcdef"
_URL = f"{_FOLDER}/{_NAME}/model"


def check_multi_model(engine: Engine, subject: Subject) -> Finding:
    """The calls in the order of an endpoint's life."""
    rule = rules.MULTI_MODEL
    if not subject.has_label(LABEL_MULTI_MODEL):
        return skipped(rule, f"not labelled {LABEL_MULTI_MODEL}")
    if subject.model is None or subject.request is None:
        return skipped(rule, "it takes a model and a sample request to try")
    base = hosting.plan(subject)
    models = subject.model.below(f"{_NAME}/model")
    wanted = replace(
        base,
        environment={**base.environment, "SAGEMAKER_MULTI_MODEL": "true"},
        read_only={_FOLDER: joined(models, Tree())},
    )
    try:
        with engine.started(wanted) as container:
            ready = hosting.wait_until_ready(container, subject.limits.startup, subject.limits.ping)
            if ready is None:
                seen = f"no 200 with SAGEMAKER_MULTI_MODEL=true: {container.last_words()}"
                return broken(rule, seen)
            problem = _life(container.address() or "", subject)
    except StartError as error:
        return broken(rule, str(error))
    return broken(rule, problem) if problem else kept(rule, "loaded, listed, asked and unloaded")


def _life(address: str, subject: Subject) -> str | None:
    """What went wrong first; None if nothing did."""
    assert subject.request is not None
    wait = subject.limits.invocation
    load = json.dumps({"model_name": _NAME, "url": _URL}).encode()
    path = f"/models/{_NAME}"
    steps: list[tuple[str, Answer, int]] = []

    def step(what: str, answer: Answer, wanted: int) -> bool:
        steps.append((what, answer, wanted))
        return answer.status == wanted

    def asked(method: str, where: str, body: bytes = b"") -> Answer:
        return send(address, method, where, body, _JSON if body else None, wait)

    fine = (
        step("GET /models/NAME before it is loaded", asked("GET", path), 404)
        and step("POST /models", asked("POST", "/models", load), 200)
        and step("POST /models a second time", asked("POST", "/models", load), 409)
        and step("GET /models/NAME", asked("GET", path), 200)
        and step("GET /models", asked("GET", "/models"), 200)
        and step(
            "POST /models/NAME/invoke",
            invoke(address, subject.request, wait, f"{path}/invoke"),
            200,
        )
        and step("DELETE /models/NAME", asked("DELETE", path), 200)
        and step("DELETE /models/NAME a second time", asked("DELETE", path), 404)
    )
    listed = next((a for what, a, _ in steps if what == "GET /models"), None)
    if listed is not None and not _lists(listed.body):
        return f"GET /models does not list the model: {listed.told()}"
    if fine:
        return None
    what, answer, wanted = steps[-1]
    return f"{what} should answer {wanted}: {answer.told()}"


def _lists(body: bytes) -> bool:
    try:
        models = json.loads(body)["models"]
        return any(model.get("modelName") == _NAME for model in models)
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
