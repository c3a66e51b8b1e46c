"""A user's inference.py: which functions are called with what, and what they may answer."""

from __future__ import annotations

import io
import json
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from sagelocal_serve import (
    Accept,
    BadRequest,
    ExecutionParameters,
    MediaType,
    ModelError,
    NotAcceptable,
    Request,
    Response,
    Settings,
    UnsupportedMediaType,
)
from sagelocal_serve.script import DEFAULTS, Functions, ScriptError, ScriptHandler

PREDICT = """
def model_fn(model_dir):
    return 10

def predict_fn(data, model):
    return data * model
"""

Load = Callable[..., ScriptHandler]


@pytest.fixture(autouse=True)
def clean_imports() -> Iterator[None]:
    """A script changes Python's path and modules, as it should; tests must not see one another."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.fixture
def code_dir(model_dir: Path) -> Path:
    (model_dir / "code").mkdir()
    return model_dir / "code"


@pytest.fixture
def load(code_dir: Path, base_dir: Path) -> Load:
    """Writes an inference.py and gives its handler, loaded."""

    def write_and_load(source: str, defaults: Functions = DEFAULTS) -> ScriptHandler:
        (code_dir / "inference.py").write_text(dedent(source))
        return _loaded(Settings(base_dir=base_dir), defaults)

    return write_and_load


def _loaded(settings: Settings, defaults: Functions = DEFAULTS) -> ScriptHandler:
    handler = ScriptHandler(settings, defaults)
    handler.prepare(settings.model_dir)
    handler.load(settings.model_dir)
    return handler


def _request(
    body: bytes = b"1,2", content_type: str = "text/csv", accept: str = "", **more: Any
) -> Request:
    return Request(body, MediaType.parse(content_type), Accept.parse(accept), **more)


def _said(response: Response) -> tuple[object, str]:
    return response.body, str(response.content_type)


def test_script_with_a_model_and_a_prediction_is_enough(load: Load) -> None:
    handler = load(PREDICT)
    assert _said(handler.handle(_request())) == (b"[10.0, 20.0]", "application/json")


def test_own_functions_go_before_the_defaults(load: Load) -> None:
    handler = load(
        PREDICT
        + """
def input_fn(body, content_type):
    return f"{body!r} as {content_type}"

def predict_fn(data, model):
    return f"{data} by {model}"

def output_fn(prediction, accept):
    return f"{prediction} for {accept}"
"""
    )
    response = handler.handle(_request(accept="text/plain"))
    assert _said(response) == (b"'1,2' as text/csv by 10 for text/plain", "text/plain")


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("text/csv; charset=utf-8", "str"),
        ("application/json", "str"),
        ("application/jsonlines", "bytes"),
        ("image/png", "bytes"),
    ],
)
def test_csv_and_json_come_as_text_and_the_rest_as_bytes(
    content_type: str, kind: str, load: Load
) -> None:
    handler = load("""
        def model_fn(model_dir):
            return None

        def transform_fn(model, body, content_type, accept):
            return type(body).__name__
    """)
    assert handler.handle(_request(b"1", content_type)).body == kind.encode()


def test_body_that_is_no_text_is_a_bad_request(load: Load) -> None:
    with pytest.raises(BadRequest, match="byte 0 is 0xff"):
        load(PREDICT).handle(_request(b"\xff"))


def test_the_charset_of_the_caller_is_what_the_text_is_read_by(load: Load) -> None:
    handler = load(
        """
        def model_fn(model_dir): return None
        def input_fn(body, content_type): return body
        def predict_fn(data, model): return data
        def output_fn(text, accept): return text, "text/plain"
        """
    )
    latin = _request("é".encode("latin-1"), "text/csv; charset=ISO-8859-1")
    assert _said(handler.handle(latin))[0] == "é".encode()
    with pytest.raises(BadRequest, match="not known"):
        handler.handle(_request(b"1", "text/csv; charset=klingon"))


def test_unread_type_is_415_and_unwritten_type_406(load: Load) -> None:
    handler = load(PREDICT)
    with pytest.raises(UnsupportedMediaType):
        handler.handle(_request(content_type="image/tiff"))
    with pytest.raises(NotAcceptable):
        handler.handle(_request(accept="image/png"))


def test_transform_fn_does_it_all(load: Load) -> None:
    handler = load("""
        def model_fn(model_dir):
            return 10

        def transform_fn(model, body, content_type, accept):
            return f"{model} {body} {content_type} {accept}", "text/plain"
    """)
    response = handler.handle(_request(accept="text/csv"))
    assert _said(response) == (b"10 1,2 text/csv text/csv", "text/plain")


def test_transform_fn_beside_one_of_the_three_is_refused(load: Load) -> None:
    with pytest.raises(ScriptError, match=r"defines transform_fn and input_fn, predict_fn"):
        load("""
            def input_fn(body, content_type): ...
            def predict_fn(data, model): ...
            def transform_fn(model, body, content_type, accept): ...
        """)


def test_functions_that_take_a_context_get_one(load: Load) -> None:
    handler = load("""
        def model_fn(model_dir, context):
            return context.system_properties["model_dir"] == model_dir

        def input_fn(body, content_type, context):
            return context.get_request_header(0, "X-Amzn-SageMaker-Custom-Attributes")

        def predict_fn(data, model, context):
            return [data, model, context.custom_attributes]

        def output_fn(prediction, accept, context):
            context.set_response_custom_attributes("answer=1")
            context.set_response_content_type(0, "text/plain")
            context.set_response_status(202)
            return repr(prediction)
    """)
    attributes = "trace=7"
    headers = {"x-amzn-sagemaker-custom-attributes": attributes}
    request = _request(custom_attributes=attributes, headers=headers)
    response = handler.handle(request)
    assert response.body == b"['trace=7', True, 'trace=7']"
    assert (response.status, str(response.content_type)) == (202, "text/plain")
    assert response.custom_attributes == "answer=1"


def test_generator_is_streamed(load: Load) -> None:
    handler = load("""
        def model_fn(model_dir):
            return None

        def transform_fn(model, body, content_type, accept):
            yield "a"
            yield b"b"
    """)
    body = handler.handle(_request()).body
    assert not isinstance(body, bytes)
    assert list(body) == [b"a", b"b"]


def test_warm_up_functions_run_around_the_loading(load: Load) -> None:
    handler = load("""
        seen = []

        def pre_model_fn(model_dir):
            seen.append("before")

        def model_fn(model_dir):
            seen.append("load")
            return seen

        def model_warmup_fn(model_dir, model):
            model.append("after")

        def transform_fn(model, body, content_type, accept):
            return " ".join(model)
    """)
    assert handler.handle(_request()).body == b"before load after"


@pytest.mark.parametrize("form", ["{mapping}", "__import__('json').dumps({mapping})"])
def test_execution_parameters_of_the_script_are_told(form: str, load: Load) -> None:
    mapping = "{'MaxConcurrentTransforms': 4, 'BatchStrategy': 'SINGLE_RECORD'}"
    returned = form.format(mapping=mapping)
    handler = load(f"{PREDICT}\ndef execution_parameters_fn():\n    return {returned}\n")
    assert handler.execution_parameters() == ExecutionParameters(4, "SINGLE_RECORD", 6)


def test_without_them_there_are_none(load: Load) -> None:
    assert load(PREDICT).execution_parameters() is None


@pytest.mark.parametrize("value", ["[1.5, 'a']", "{'a': [1]}", "7", "True"])
def test_lists_dicts_and_numbers_are_written_as_json(value: str, load: Load) -> None:
    handler = load(f"""
        def model_fn(model_dir):
            return None

        def transform_fn(model, body, content_type, accept):
            return {value}
    """)
    response = handler.handle(_request(accept="application/json"))
    assert isinstance(response.body, bytes)
    assert json.loads(response.body) == eval(value)
    assert str(response.content_type) == "application/json"


@pytest.mark.parametrize("value", ["None", "object()", "[object()]"])
def test_answer_that_is_no_body_is_explained(value: str, load: Load) -> None:
    handler = load(f"""
        def model_fn(model_dir):
            return None

        def transform_fn(model, body, content_type, accept):
            return {value}
    """)
    with pytest.raises(ModelError, match="must return str, bytes, a generator"):
        handler.handle(_request())


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", r"inference\.py defines no model_fn, predict_fn, and"),
        ("def predict_fn(data, model): ...", "defines no model_fn, and"),
        ("def model_fn(model_dir): ...", "defines no predict_fn"),
        (
            f"{PREDICT}\ndef model_fn(): ...",
            r"model_fn\(\) cannot be called: it gets \(model_dir\)",
        ),
        (f"{PREDICT}\nmodel_fn = 7", "model_fn is a int, not a function"),
    ],
)
def test_missing_or_misshapen_function_is_named(source: str, message: str, load: Load) -> None:
    with pytest.raises(ScriptError, match=message):
        load(source + "\ndef output_fn(prediction, accept): ...\n")


def test_script_may_be_called_anything_and_bring_modules_of_any_name(
    base_dir: Path, code_dir: Path
) -> None:
    (code_dir / "serve.py").write_text(
        "import train, utils\n\ndef model_fn(model_dir):\n    return utils.FACTOR\n"
        "\ndef predict_fn(data, model):\n    return data * model * train.FACTOR\n"
    )
    (code_dir / "train.py").write_text("FACTOR = 2\n")
    (code_dir / "utils.py").write_text("FACTOR = 3\n")
    handler = _loaded(Settings(base_dir=base_dir, program="serve.py"))
    assert handler.handle(_request()).body == b"[6.0, 12.0]"


@pytest.mark.parametrize("name", ["flask.py", "json.py", "sagelocal_serve.py"])
def test_script_named_as_a_module_in_use_is_the_script(
    name: str, base_dir: Path, code_dir: Path
) -> None:
    (code_dir / name).write_text(PREDICT)
    handler = _loaded(Settings(base_dir=base_dir, program=name))
    assert handler.handle(_request()).body == b"[10.0, 20.0]"


def test_script_in_a_subfolder_finds_its_neighbours_and_the_top(
    base_dir: Path, code_dir: Path
) -> None:
    (code_dir / "src").mkdir()
    (code_dir / "top_module.py").write_text("")
    (code_dir / "src" / "near_module.py").write_text("")
    (code_dir / "src" / "entry.py").write_text("import near_module, top_module\n" + PREDICT)
    handler = _loaded(Settings(base_dir=base_dir, program="src/entry.py"))
    assert handler.handle(_request()).body == b"[10.0, 20.0]"


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_submit_directory_goes_before_the_model(scheme: str, load: Load, tmp_path: Path) -> None:
    load(PREDICT)
    (tmp_path / "submitted").mkdir()
    (tmp_path / "submitted" / "inference.py").write_text(PREDICT.replace("10", "5"))
    settings = Settings(base_dir=tmp_path / "ml", submit_directory=f"{scheme}{tmp_path}/submitted")
    assert _loaded(settings).handle(_request()).body == b"[5.0, 10.0]"


def _archive(path: Path, **members: str) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content.encode()))
    return path


def test_submit_directory_may_be_an_archive(base_dir: Path, tmp_path: Path) -> None:
    archive = _archive(tmp_path / "sourcedir.tar.gz", **{"./src/entry.py": PREDICT})
    settings = Settings(base_dir=base_dir, program="src/entry.py", submit_directory=str(archive))
    assert _loaded(settings).handle(_request()).body == b"[10.0, 20.0]"


@pytest.mark.parametrize("name", ["../outside.py", "/outside.py", "a/../../outside.py"])
def test_archive_cannot_write_outside_of_its_folder(
    name: str, base_dir: Path, tmp_path: Path
) -> None:
    archive = _archive(tmp_path / "sourcedir.tar.gz", **{name: PREDICT})
    with pytest.raises(ScriptError, match="outside of its folder"):
        _loaded(Settings(base_dir=base_dir, submit_directory=str(archive)))


def test_broken_archive_is_named(base_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "sourcedir.tar.gz").write_bytes(b"no archive")
    settings = Settings(base_dir=base_dir, submit_directory=str(tmp_path / "sourcedir.tar.gz"))
    with pytest.raises(ScriptError, match=r"sourcedir\.tar\.gz is neither"):
        _loaded(settings)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"program": "predictor.py"}, r"There is no predictor\.py .* in \S+/model/code"),
        ({"submit_directory": "/nowhere"}, r"There is no inference\.py .* in /nowhere"),
        ({"submit_directory": "s3://bucket/a.tar.gz"}, "s3://bucket/a.tar.gz is not local"),
    ],
)
def test_script_that_was_asked_for_and_is_not_there_is_named(
    changes: dict[str, Any], message: str, base_dir: Path
) -> None:
    with pytest.raises(ScriptError, match=message):
        _loaded(Settings(base_dir=base_dir, **changes))


def test_framework_defaults_serve_without_a_script(base_dir: Path) -> None:
    defaults = Functions(
        model_fn=lambda model_dir: 10, predict_fn=lambda data, model: data * model
    ).over(DEFAULTS)
    handler = _loaded(Settings(base_dir=base_dir), defaults)
    assert handler.handle(_request()).body == b"[10.0, 20.0]"


def test_module_that_fails_is_not_left_half_imported(load: Load) -> None:
    with pytest.raises(ZeroDivisionError):
        load("1 / 0")
    assert "inference" not in sys.modules
