"""Filters and joins of batch transform."""

from __future__ import annotations

from typing import Any

import pytest
from sagelocal.domain.data_processing import DataProcessing, ProcessingError


def processing(kind: str, **members: Any) -> DataProcessing:
    return DataProcessing.of(
        kind,
        members.get("input", "$"),
        members.get("output", "$"),
        join=members.get("join", False),
    )


def test_without_filters_and_joins_nothing_is_read() -> None:
    plain = processing("image/png")
    assert plain.request((b"\xff", b"\xfe")) == b"\xff\xfe"
    assert plain.output((b"\xff",), b"\xfd", "image/png") == b"\xfd"
    assert not plain.does_something


def test_columns_of_csv_are_left_out_and_joined() -> None:
    csv = processing("text/csv", input="$[1:]", output="$[0,-1]", join=True)
    records = (b'a,1,"2, or 3"\n', b"b,4,5\n")

    assert csv.request(records) == b'1,"2, or 3"\n4,5\n'
    assert csv.output(records, b"0.5\n0.25\n", "text/csv; charset=utf-8") == b"a,0.5\nb,0.25\n"


def test_an_object_has_the_answer_as_a_member() -> None:
    lines = processing("application/jsonlines", input="$.x", join=True)
    records = (b'{"x":[1],"id":"\xc3\xa9"}\n', b'{"x":[2],"id":2}\n')

    assert lines.request(records) == b"[1]\n[2]\n"
    answer = b'{"score":0.5}\n{"score":1.0}'
    assert lines.output(records, answer, "application/jsonlines").decode() == (
        '{"x":[1],"id":"é","SageMakerOutput":{"score":0.5}}\n'
        '{"x":[2],"id":2,"SageMakerOutput":{"score":1.0}}\n'
    )


def test_what_is_no_object_is_a_member_beside_the_answer() -> None:
    whole = processing("application/json", join=True)
    found = whole.output((b"[1,\n2]",), b'{"y":\n3}', "application/json")
    assert found == b'{"SageMakerInput":[1,2],"SageMakerOutput":{"y":3}}\n'


def test_an_answer_alone_is_filtered_in_its_own_form() -> None:
    scores = processing("text/csv", output="$.predictions[*].score")
    answer = b'{"predictions":[{"score":1},{"score":2}]}'
    assert scores.output((b"1\n2\n",), answer, "application/json") == b"[1,2]\n"


@pytest.mark.parametrize(
    ("kind", "records", "answer", "of", "words"),
    [
        ("text/csv", (b"1\n", b"2\n"), b"0.5\n", "text/csv", "mismatched line count .* 2 and 1"),
        ("text/csv", (b"1\n",), b"[1]", "application/json", "the input is csv and the output json"),
        ("application/json", (b"{",), b"1", "application/json", "This is no json: "),
        ("text/csv", (b"1\n",), b"\xff", "text/csv", "This is no csv: 'utf-8' codec"),
    ],
)
def test_what_cannot_be_joined_is_named(
    kind: str, records: tuple[bytes, ...], answer: bytes, of: str, words: str
) -> None:
    with pytest.raises(ProcessingError, match=words):
        processing(kind, join=True).output(records, answer, of)


def test_a_record_without_the_filters_member_is_named() -> None:
    with pytest.raises(ProcessingError, match=r"The filter \$\.x finds nothing: there is no \.x"):
        processing("application/jsonlines", input="$.x").request((b'{"y":1}\n',))


@pytest.mark.parametrize(
    ("kind", "members", "words"),
    [
        ("image/png", {"join": True}, "the ContentType is 'image/png'"),
        (None, {"input": "$[1:]"}, "the ContentType is None"),
        ("text/csv", {"input": "$..x"}, "DataProcessing.InputFilter: the path"),
        ("text/csv", {"output": "x"}, "DataProcessing.OutputFilter: the path"),
    ],
)
def test_what_is_never_possible_is_refused_at_once(
    kind: str, members: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        processing(kind, **members)
