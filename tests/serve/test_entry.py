"""What SAGEMAKER_SERVING_MODULE may name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sagelocal_serve import Handler, Settings
from sagelocal_serve.entry import EntryPointError, resolve
from sagelocal_serve.script import ScriptHandler

HANDLERS = str(Path(__file__).parent / "handlers")


@pytest.fixture(autouse=True)
def handlers_on_path() -> Iterator[None]:
    sys.path.append(HANDLERS)
    yield
    sys.path.remove(HANDLERS)


@pytest.mark.parametrize("attribute", ["echo", "holding", "echo_instance", "summing"])
def test_handlers_and_their_factories_give_a_handler(attribute: str) -> None:
    target = resolve(Settings(serving_module=f"handlers_under_test:{attribute}"))
    assert isinstance(target, Handler)


@pytest.mark.parametrize("attribute", ["wsgi", "wsgi_factory"])
def test_applications_and_their_factories_give_the_application(attribute: str) -> None:
    target = resolve(Settings(serving_module=f"handlers_under_test:{attribute}"))
    assert getattr(target, "__name__", None) == "wsgi"


def test_without_a_module_it_is_script_mode() -> None:
    assert isinstance(resolve(Settings()), ScriptHandler)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.to_be:found", "no module 'nowhere'"),
        ("handlers_under_test:missing", "has no 'missing'"),
        ("handlers_under_test:Echo.missing", r"has no 'Echo\.missing'"),
        ("handlers_under_test:nothing_servable", "gives 'str'"),
        ("handlers_under_test:pieces", "gives 'generator'"),
        ("handlers_under_test:TEXT", "gives 'MediaType'"),
    ],
)
def test_anything_else_is_refused_by_name(name: str, message: str) -> None:
    with pytest.raises(EntryPointError, match=message):
        resolve(Settings(serving_module=name))


def test_module_that_fails_on_its_own_imports_is_not_called_missing(tmp_path: Path) -> None:
    (tmp_path / "needs_more.py").write_text("import surely_not_installed\n")
    sys.path.append(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="surely_not_installed"):
        resolve(Settings(serving_module="needs_more:app"))
    sys.path.remove(str(tmp_path))
