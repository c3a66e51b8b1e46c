"""Files of a transform job: each cut into requests, its answers put together in their order."""

from __future__ import annotations

import gzip
import io
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, BinaryIO, cast

from sagelocal.domain.data_processing import ProcessingError
from sagelocal.domain.records import BadRecord, batches, records
from sagelocal.domain.transform_spec import ExecutionParameters, TransformSpec
from sagelocal.engine.forwarding import Answer
from sagelocal.engine.sources import Source
from sagelocal.store.objects import NoSuchBucket, ObjectStore

SUFFIX = ".out"


class FileFault(Exception):
    """A file has no output; the text says which file and why."""


@dataclass
class TransformedFile:
    """An input file, and as much of its output as there is, which waits in `folder`.

    `fault` is why there will be none.
    """

    spec: TransformSpec
    source: Source
    objects: ObjectStore
    folder: Path
    fault: str | None = None
    _output: IO[bytes] | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """As the job's data log has it."""
        return f"{self.source.info.bucket}/{self.source.info.key}"

    def requests(
        self, parameters: ExecutionParameters
    ) -> Iterator[tuple[tuple[bytes, ...], bytes]]:
        """The records of each request, and its body. A bad file ends with its `fault` set."""
        try:
            with ExitStack() as opened:
                stream: BinaryIO = opened.enter_context(self.objects.open(self.source.info))
                if self.spec.gzipped:
                    unzipped = opened.enter_context(gzip.open(stream))
                    stream = cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, unzipped)))
                found = records(stream, self.spec.split_type, parameters.most_bytes)
                single = parameters.strategy == "SINGLE_RECORD"
                for batch in batches(found, single=single, most_bytes=parameters.most_bytes):
                    yield batch, self.spec.processing.request(batch)
        except (BadRecord, ProcessingError) as error:
            self.fault = str(error)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            self.fault = f"It is no gzip file: {error}"

    def take(self, batch: tuple[bytes, ...], answer: Answer) -> None:
        """The next answer. What cannot be joined is the file's fault."""
        if self.fault is not None:
            return
        content_type = answer.headers.get("content-type")
        try:
            output = self.spec.processing.output(batch, answer.body, content_type)
        except ProcessingError as error:
            self.fault = str(error)
            return
        if self._output is None:
            self._output = tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115  # see discard
        self._output.write(output)
        if self.spec.assemble_by_line and not output.endswith(b"\n"):
            self._output.write(b"\n")

    def store(self) -> None:
        """Put the output where it belongs. Raises FileFault."""
        output, self._output = self._output or io.BytesIO(), None
        with output:
            output.seek(0)
            place = self.spec.output
            folder = f"{place.key.rstrip('/')}/" if place.key else ""
            key = f"{folder}{self.source.path}{SUFFIX}"
            try:
                self.objects.put_stream(place.bucket, key, cast(BinaryIO, output))
            except NoSuchBucket:
                raise FileFault(
                    f"The bucket of S3OutputPath {place} does not exist; create it with "
                    f"`aws s3 mb s3://{place.bucket}`"
                ) from None

    def discard(self) -> None:
        """Have no output."""
        if self._output is not None:
            self._output.close()
            self._output = None
