"""What is told of a run that the engine refuses to start, after the whole run did start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from sagelocal.check import hosting
from sagelocal.check.containers import Container, Engine, Plan, StartError
from sagelocal.check.subject import LABEL_NON_ROOT, Subject


class Refusing:
    """An engine for which nothing starts, as for a program that only root may start."""

    @contextmanager
    def started(self, wanted: Plan) -> Iterator[Container]:
        raise StartError(f"exec: serve: permission denied to {wanted.user}")
        yield


def test_a_program_that_another_user_may_not_start_is_told_as_such() -> None:
    labels: dict[str, Any] = {"Config": {"Labels": {LABEL_NON_ROOT: "true"}}}
    subject = Subject("image", "sha256:0", labels)

    found = hosting._restricted(cast(Engine, Refusing()), subject, hosting.plan(subject), 1.0)

    told = {each.rule.name: (each.outcome.value, each.seen) for each in found}
    refused = "exec: serve: permission denied to"
    assert told["non-root"] == ("broken", f"{refused} 10001:10001")
    assert told["serve-network-isolation"] == ("broken", f"{refused} None")
