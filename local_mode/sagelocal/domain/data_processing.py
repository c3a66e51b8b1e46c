"""What batch transform leaves out of records, and joins them with: DataProcessing.

    record -> InputFilter -> the model -> answer     joined with the record, if asked
                                            |
                                       OutputFilter -> a line of the output

A CSV record is a list of texts, JSON is what it says. Joined, a CSV record has the answer's columns
behind its own; an object has the answer as its member SageMakerOutput; anything else is an object
of SageMakerInput and SageMakerOutput. Source: developer guide, "Associate Prediction Results with
Input Records".
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sagelocal.domain.json_path import JsonPath, NoMatch

Form = Literal["csv", "json", "json lines"]

EVERYTHING = "$"
_ALL = JsonPath(EVERYTHING, ())
_FORMS: dict[str, Form] = {
    "text/csv": "csv",
    "application/json": "json",
    "application/jsonlines": "json lines",
    "application/x-jsonlines": "json lines",
    "application/jsonl": "json lines",
}


class ProcessingError(ValueError):
    """A record or an answer that cannot be filtered or joined; the text says why."""


@dataclass(frozen=True)
class DataProcessing:
    """Filters and join; as it is made without arguments it changes nothing."""

    form: Form | None = None
    input_filter: JsonPath = _ALL
    output_filter: JsonPath = _ALL
    join: bool = False

    @classmethod
    def of(
        cls, content_type: str | None, input_filter: str, output_filter: str, *, join: bool
    ) -> DataProcessing:
        """Raises ValueError, naming the member of the request."""
        processing = cls(
            form_of(content_type),
            _filter("InputFilter", input_filter),
            _filter("OutputFilter", output_filter),
            join,
        )
        if processing.does_something and processing.form is None:
            raise ValueError(
                f"DataProcessing reads {', '.join(_FORMS)}; the ContentType is {content_type!r}"
            )
        return processing

    @property
    def does_something(self) -> bool:
        return self.join or self.changes_input or bool(self.output_filter.steps)

    @property
    def changes_input(self) -> bool:
        return bool(self.input_filter.steps)

    def request(self, records: Sequence[bytes]) -> bytes:
        """The body that the model is sent for these records. Raises ProcessingError."""
        if not self.changes_input:
            return b"".join(records)
        values = (self._filtered(self.input_filter, each) for each in self._values(records))
        return _written(self.form, values)

    def output(self, records: Sequence[bytes], answer: bytes, content_type: str | None) -> bytes:
        """What is written for the model's answer to them. Raises ProcessingError."""
        if not self.join and not self.output_filter.steps:
            return answer
        form = form_of(content_type) or self.form
        answers = _read(form, answer, whole=len(records) == 1)
        if self.join:
            answers = self._joined(self._values(records), answers, form)
            form = self.form
        return _written(form, (self._filtered(self.output_filter, each) for each in answers))

    def _joined(
        self, records: Sequence[Any], answers: Sequence[Any], form: Form | None
    ) -> list[Any]:
        if (form == "csv") != (self.form == "csv"):
            raise ProcessingError(
                f"Fail to join data: the input is {self.form} and the output {form}; ask the "
                "model for the input's form (TransformOutput.Accept)"
            )
        if len(records) != len(answers):
            raise ProcessingError(
                "Fail to join data: mismatched line count between the input and the output: "
                f"{len(records)} and {len(answers)}"
            )
        pairs = zip(records, answers, strict=True)
        if self.form == "csv":
            return [[*record, *answer] for record, answer in pairs]
        return [_join(record, answer) for record, answer in pairs]

    def _values(self, records: Sequence[bytes]) -> list[Any]:
        body = b"".join(records)
        return _read(self.form, body, whole=len(records) == 1)

    def _filtered(self, path: JsonPath, value: Any) -> Any:
        try:
            return path.select(value)
        except NoMatch as error:
            raise ProcessingError(f"The filter {path.text} finds nothing: {error}") from None


def form_of(content_type: str | None) -> Form | None:
    """What a media type's records are, if they can be filtered."""
    return _FORMS.get((content_type or "").partition(";")[0].strip().lower())


def _filter(name: str, text: str) -> JsonPath:
    try:
        return JsonPath.parse(text)
    except ValueError as error:
        raise ValueError(f"DataProcessing.{name}: {error}") from None


def _join(record: Any, answer: Any) -> Any:
    if isinstance(record, dict):
        return {**record, "SageMakerOutput": answer}
    return {"SageMakerInput": record, "SageMakerOutput": answer}


def _read(form: Form | None, body: bytes, *, whole: bool) -> list[Any]:
    """The records of a body; JSON is one if it is the `whole` of one."""
    try:
        text = body.decode("utf-8")
        if form == "csv":
            return [row for row in csv.reader(io.StringIO(text, newline="")) if row]
        if form == "json" and whole:
            return [json.loads(text)]
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, csv.Error) as error:
        raise ProcessingError(f"This is no {form}: {error}: {body[:100]!r}") from None


def _written(form: Form | None, values: Iterable[Any]) -> bytes:
    """Records as a body, each a line."""
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    for value in values:
        if form == "csv":
            rows.writerow(value if isinstance(value, list) else [value])
        else:
            text.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")
    return text.getvalue().encode()
