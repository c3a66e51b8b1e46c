"""The context of a script's functions, under the names that existing handlers use."""

from __future__ import annotations

from pathlib import Path

from sagelocal_serve import Request
from sagelocal_serve.script import Context

MODEL_DIR = Path("/opt/ml/model")


def _context() -> Context:
    headers = {"content-type": "text/csv", "x-amzn-sagemaker-custom-attributes": "trace=7"}
    return Context(MODEL_DIR, Request(b"", headers=headers, custom_attributes="trace=7"))


def test_headers_are_found_in_any_case_and_by_either_way() -> None:
    context = _context()
    assert context.get_request_header(0, "Content-Type") == "text/csv"
    assert context.request_processor[0].get_request_property("CONTENT-TYPE") == "text/csv"
    assert context.get_request_header(0, "Missing") is None
    assert (
        context.get_all_request_header(0) == context.request_processor[0].get_request_properties()
    )
    assert context.custom_attributes == "trace=7"


def test_all_headers_are_found_in_any_case_too() -> None:
    headers = _context().get_all_request_header(0)
    assert headers["X-Amzn-SageMaker-Custom-Attributes"] == "trace=7"
    assert headers.get("Content-Type") == "text/csv"
    assert "CONTENT-type" in headers
    assert headers.get("Accept", "*/*") == "*/*"
    assert dict(headers) == {
        "content-type": "text/csv",
        "x-amzn-sagemaker-custom-attributes": "trace=7",
    }


def test_answer_is_what_was_set_last_by_either_way() -> None:
    context = _context()
    assert (context.response_status, context.response_custom_attributes) == (200, "")
    context.set_response_content_type(0, "text/plain")
    context.request_processor[0].add_response_property("Content-Type", "text/csv")
    context.request_processor[0].report_status(202, "accepted")
    context.set_response_custom_attributes("answer=1")
    assert context.get_response_content_type() == "text/csv"
    assert context.response_status == 202
    assert context.response_custom_attributes == "answer=1"
    assert set(context.get_response_headers()) == {
        "content-type",
        "x-amzn-sagemaker-custom-attributes",
    }


def test_context_of_model_fn_knows_the_model_and_no_request() -> None:
    context = Context(MODEL_DIR)
    assert context.system_properties["model_dir"] == str(MODEL_DIR)
    assert context.get_all_request_header() == {}
