"""Training jobs: the log's lines, the files, and what every form of input leads to."""

from __future__ import annotations

import gzip
import io
import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from sagelocal_deepar import artifact
from sagelocal_deepar.channel import read_channel
from sagelocal_deepar.dataset import Laid, Windows, seen
from sagelocal_deepar.frequency import Frequency
from sagelocal_deepar.series import Series, series_of
from sagelocal_train.config import Channel

from tests.containers.deepar.records import Record, json_lines, seasonal, without_end

if TYPE_CHECKING:
    from sagelocal_deepar.forecaster import Forecaster

    from tests.containers.conftest import Ended, Job
    from tests.containers.deepar.conftest import MakeJob, Trainer

H = Frequency.parse("H")


def test_the_log_has_the_originals_lines(trained: Ended) -> None:
    for line in (
        r"\[cardinality=auto\] `cat` field was NOT found in the file `\S+/train/train\.json` and "
        r"will NOT be used for training\.",
        r"Training set statistics:",
        r"Real time series",
        r"number of time series: 12",
        r"number of observations: 888",
        r"mean target length: 74\.0",
        r"min/mean/max target: \S+/\S+/\S+",
        r"contains missing values: no",
        r"Small number of time series\. Doing 7 passes over dataset with prob 0\.95\d* per epoch\.",
        r"Epoch\[0\] Batch\[5\] avg_epoch_loss=-?\d+\.\d{6}",
        r"#quality_metric: host=algo-1, epoch=0, batch=5 train loss <loss>=\S+",
        r"Epoch\[0\] Batch \[5\]\tSpeed: \d+\.\d\d samples/sec\tloss=-?\d+\.\d{6}",
        r"processed a total of \d+ examples",
        r"#progress_metric: host=algo-1, completed 100\.0 % of epochs",
        r"#quality_metric: host=algo-1, epoch=2, train loss <loss>=\S+",
        r"Final loss: \S+ \(occurred at epoch \d\)",
        r"#quality_metric: host=algo-1, train final_loss <loss>=\S+",
        r"Evaluating model accuracy on testset using 20 samples",
        r"#test_score \(algo-1, RMSE\): \d\S+",
        r"#test_score \(algo-1, mean_absolute_QuantileLoss\): \d\S+",
        r"#test_score \(algo-1, mean_wQuantileLoss\): 0\.\d+",
        r"#test_score \(algo-1, wQuantileLoss\[0\.1\]\): 0\.\d+",
        r"#test_score \(algo-1, wQuantileLoss\[0\.9\]\): 0\.\d+",
        r"#quality_metric: host=algo-1, test RMSE <loss>=\S+",
        r"#quality_metric: host=algo-1, test mean_wQuantileLoss <loss>=\S+",
    ):
        assert re.search(rf"^.*{line}$", trained.log, re.MULTILINE), line


def test_the_files_have_the_originals_names(trained: Ended) -> None:
    assert sorted(path.name for path in trained.model_dir.iterdir()) == [
        "model_algo-1-0000.params",
        "model_algo-1-config.json",
        "model_algo-1-symbol.json",
    ]


# The network by nothing but MXNet and the two files that it wrote.
LOADED_BY_MXNET = """
import sys, numpy as np, mxnet as mx
prefix, given, out = sys.argv[1:]
arrays = np.load(given)
names = [f"data{number}" for number in range(len(arrays.files))]
network = mx.gluon.SymbolBlock.imports(f"{prefix}-symbol.json", names, f"{prefix}-0000.params")
np.save(out, network(*(mx.nd.array(arrays[name]) for name in names)).asnumpy())
"""


def agrees_with_mxnet(ended: Ended, records: list[Record], python: Path, scratch: Path) -> None:
    """Compare the raw parameters of some windows, by numpy here and by MXNet there."""
    model = artifact.load(ended.model_dir)
    windows = some_windows(model, [series_of(record, H) for record in records])
    lagged = seen(windows.lagged, windows.location[:, None], windows.scale[:, None])
    arrays: dict[str, Any] = {
        "data0": lagged.swapaxes(0, 1),
        "data1": windows.features.swapaxes(0, 1),
    }
    if model.shape.cardinality:
        arrays["data2"] = windows.categories
    np.savez(scratch / "given.npz", **arrays)
    paths = (ended.model_dir / "model_algo-1", scratch / "given.npz", scratch / "out.npy")
    command = (python, "-W", "ignore", "-c", LOADED_BY_MXNET, *paths)
    subprocess.run(command, check=True)

    from_mxnet = np.load(scratch / "out.npy").swapaxes(0, 1)
    np.testing.assert_allclose(model.raw(windows), from_mxnet, rtol=1e-4, atol=1e-4)


def some_windows(model: Forecaster, series: list[Series]) -> Windows:
    """Windows of each series, one of which begins before its series does."""
    laid = Laid(series, model.shape, room_after=model.shape.prediction_length)
    begins = np.linspace(1, 50, len(series)).astype(np.int64)
    return laid.windows(np.arange(len(series)), begins)


def test_mxnet_loads_the_network_and_finds_what_numpy_finds(
    trained: Ended, mxnet_python: Path, tmp_path: Path
) -> None:
    agrees_with_mxnet(trained, seasonal(5, 60, seed=3), mxnet_python, tmp_path)


def with_members(records: list[Record]) -> list[Record]:
    """The series with two categories each, and two features, of which one says it all."""
    random = np.random.default_rng(9)
    return [
        record
        | {"cat": [number % 2, number % 3]}
        | {"dynamic_feat": [random.random(80).round(3).tolist(), record["target"]]}
        for number, record in enumerate(records)
    ]


def test_categories_and_features_are_counted_and_learned(
    job: Job, train: Trainer, mxnet_python: Path, tmp_path: Path
) -> None:
    records = with_members(seasonal(12, 80))
    job.channel("train", {"a.json": json_lines(without_end(records, 6))}, None)
    job.channel("test", {"a.json": json_lines(records)}, None)
    ended = train(job, num_layers=2, embedding_dimension=3)

    assert ended.exit_code == 0, ended.log
    assert "[cardinality=auto] Inferred value of cardinality=[2, 3] from dataset." in ended.log
    assert "[num_dynamic_feat=auto] Inferred value of num_dynamic_feat=2 from dataset." in ended.log
    shape = artifact.load(ended.model_dir).shape
    assert (shape.cardinality, shape.dynamic_features) == ((2, 3), 2)
    agrees_with_mxnet(ended, records[:5], mxnet_python, tmp_path)


def test_categories_and_features_may_be_left_out(job: Job, train: Trainer) -> None:
    job.channel("train", {"a.json": json_lines(with_members(seasonal(12, 80)))}, None)
    ended = train(job, epochs=1, cardinality="ignore", num_dynamic_feat="")

    assert ended.exit_code == 0, ended.log
    assert "`cat` field was found" in ended.log
    shape = artifact.load(ended.model_dir).shape
    assert (shape.cardinality, shape.dynamic_features) == ((), 0)


def counts(records: list[Record]) -> list[Record]:
    return [r | {"target": [round(10 * v) for v in r["target"]]} for r in records]


def shares(records: list[Record]) -> list[Record]:
    return [r | {"target": [0.0, 1.0, *(v / 20 for v in r["target"][2:])]} for r in records]


def negative(records: list[Record]) -> list[Record]:
    return [r | {"target": [v - 8 for v in r["target"]]} for r in records]


LIKELIHOODS = {
    "gaussian": negative,
    "student-T": negative,
    "beta": shares,
    "negative-binomial": counts,
    "deterministic-L1": negative,
}


@pytest.mark.parametrize(("likelihood", "change"), LIKELIHOODS.items(), ids=LIKELIHOODS)
def test_every_likelihood_is_trained_and_draws_what_it_can_be(
    job: Job, train: Trainer, likelihood: str, change: Any
) -> None:
    records = change(seasonal(12, 80))
    job.channel("train", {"a.json": json_lines(records)}, None)
    job.channel("test", {"a.json": json_lines(records)}, None)
    ended = train(job, likelihood=likelihood, epochs=4)

    assert ended.exit_code == 0, ended.log
    losses = re.findall(r"epoch=\d, train loss <loss>=(\S+)", ended.log)
    assert min(map(float, losses[1:])) < float(losses[0])
    samples = artifact.load(ended.model_dir).samples([series_of(records[0], H)], 50)
    assert samples.shape == (1, 50, 6)
    assert np.isfinite(samples).all()
    varied = np.ptp(samples, axis=1)
    assert (varied == 0).all() if likelihood == "deterministic-L1" else (varied > 0).all()
    if likelihood == "beta":
        assert ((samples >= 0) & (samples <= 1)).all()
    if likelihood == "negative-binomial":
        assert ((samples >= 0) & (samples == samples.round())).all()


@pytest.mark.parametrize("frequency", ["W", "5min"])
def test_frequencies_are_trained(job: Job, train: Trainer, frequency: str) -> None:
    job.channel("train", {"a.json": json_lines(seasonal(6, 80, season=12))}, None)
    ended = train(job, time_freq=frequency, epochs=1)

    assert ended.exit_code == 0, ended.log
    model = artifact.load(ended.model_dir)
    assert model.shape.frequency == Frequency.parse(frequency)


def test_training_stops_when_it_has_no_patience_left(job: Job, train: Trainer) -> None:
    job.channel("train", {"a.json": json_lines(seasonal(6, 60))}, None)
    ended = train(job, epochs=60, early_stopping_patience=1, learning_rate=0.2)

    assert ended.exit_code == 0, ended.log
    assert "Using early stopping with patience 1" in ended.log
    assert "stopping training now" in ended.log
    losses = [float(n) for n in re.findall(r"epoch=\d+, train loss <loss>=(\S+)", ended.log)]
    assert len(losses) < 60
    final = re.findall(r"Final loss: (\S+) \(occurred at epoch (\d+)\)", ended.log)
    assert final == [(str(min(losses)), str(losses.index(min(losses))))]


def test_the_same_job_gives_the_same_model(trained: Ended, job: Job, train: Trainer) -> None:
    records = seasonal(12, 80)
    job.channel("train", {"train.json": json_lines(without_end(records, 6))}, None)
    again = train(job, epochs=3)

    name = "model_algo-1-0000.params"
    assert (again.model_dir / name).read_bytes() == (trained.model_dir / name).read_bytes()


def test_missing_values_are_no_values(job: Job, train: Trainer) -> None:
    records = seasonal(10, 80)
    for record in records:
        record["target"][10:30:2] = [None, "NaN", float("nan"), "nan", None] * 2
        record["target"][-3] = None
    job.channel("train", {"a.json": json_lines(records)}, None)
    job.channel("test", {"a.json": json_lines(records)}, None)
    ended = train(job, test_quantiles="[0.25, 0.9]", dropout_rate=0.3)

    assert ended.exit_code == 0, ended.log
    assert "number of observations: 690" in ended.log
    assert "contains missing values: yes" in ended.log
    assert re.search(r"test RMSE <loss>=\d", ended.log)
    losses = dict(re.findall(r"wQuantileLoss\[(\S+)\]\): (\S+)", ended.log))
    assert set(losses) == {"0.25", "0.9"}
    [mean] = re.findall(r"test mean_wQuantileLoss <loss>=(\S+)", ended.log)
    assert float(mean) == pytest.approx(sum(map(float, losses.values())) / 2, rel=1e-4)


# --- what a channel holds ----------------------------------------------------------------------


def parquet(records: list[Record], **columns: Any) -> bytes:
    """Records as a Parquet file."""
    table = {name: [r.get(name) for r in records] for name in records[0]} | columns
    content = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(table), content)
    return content.getvalue()


def of_files(folder: Path, files: dict[str, str | bytes], kind: str | None = None) -> list[Series]:
    for name, content in files.items():
        path = folder / "train" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_channel(Channel("train", folder / "train", kind), H).series


def assert_same(found: list[Series], wanted: list[Series]) -> None:
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert (one.start, one.categories) == (other.start, other.categories)
        np.testing.assert_array_equal(one.target, other.target)
        np.testing.assert_array_equal(one.dynamic, other.dynamic)


RECORDS = with_members(seasonal(3, 80))
RECORDS[1]["target"] = [*RECORDS[1]["target"][:-1], None]
TEXT = json_lines(RECORDS)
PACKED = gzip.compress(TEXT.encode())
FORMS: dict[str, tuple[dict[str, str | bytes], str | None]] = {
    "JSON Lines": ({"a.json": TEXT}, None),
    "with a mark and empty lines": ({"a.json": "\ufeff" + TEXT.replace("\n", "\n\n")}, None),
    "no extension": ({"part-0000": TEXT}, "json"),
    "jsonl": ({"a.jsonl": TEXT}, "application/jsonlines"),
    "gzip": ({"a.json.gz": PACKED}, None),
    "gzip by content type": ({"part-0000": PACKED}, "json.gz"),
    "Parquet": ({"a.parquet": parquet(RECORDS)}, None),
    "Parquet by content type": ({"part-0000": parquet(RECORDS)}, "parquet"),
    "folders, of Spark": (
        {
            "x/a.json": json_lines(RECORDS[:1]),
            "y/b.json.gz": gzip.compress(json_lines(RECORDS[1:2]).encode()),
            "y/c.parquet": parquet(RECORDS[2:]),
            "_SUCCESS": "",
            ".part.json.crc": b"crc\0",
            ".hidden/d.json": "no JSON",
        },
        None,
    ),
}


@pytest.mark.parametrize(("files", "kind"), FORMS.values(), ids=FORMS)
def test_every_form_of_a_channel_is_read(
    files: dict[str, str | bytes], kind: str | None, tmp_path: Path
) -> None:
    assert_same(of_files(tmp_path, files, kind), [series_of(record, H) for record in RECORDS])


def test_timestamps_and_missing_values_of_parquet_are_read(tmp_path: Path) -> None:
    times = pyarrow.array(["2016-01-01T05:00:00"]).cast(pyarrow.timestamp("us"))
    target = pyarrow.array([[1.0, None, float("nan"), 4.0]])
    [found] = of_files(
        tmp_path, {"a.parquet": parquet([{"start": ""}], start=times, target=target)}
    )

    assert found.start == H.time_of("2016-01-01 05:00:00")
    np.testing.assert_array_equal(found.target, np.array([1, np.nan, np.nan, 4], np.float32))


def test_the_configuration_of_an_artifact_says_what_it_is(trained: Ended) -> None:
    said = json.loads((trained.model_dir / "model_algo-1-config.json").read_text())

    assert said["algorithm"] == "forecasting-deepar"
    assert (said["time_freq"], said["context_length"], said["prediction_length"]) == ("H", 12, 6)


@pytest.mark.parametrize("distribution", ["FullyReplicated", "ShardedByS3Key"])
def test_two_hosts_learn_what_one_does_with_batches_of_twice_the_size(
    make_job: MakeJob, train: Trainer, distribution: str
) -> None:
    """With the same windows in each step: what is left out at random would differ."""
    records = [
        {**record, "cat": [number % 3], "dynamic_feat": [[float(n % 5) for n in range(80)]]}
        for number, record in enumerate(seasonal(13, 80))
    ]
    asked = {"dropout_rate": 0, "likelihood": "gaussian", "learning_rate": 0.01}
    alone = make_job("alone")
    for channel in ("train", "test"):
        alone.channel(channel, {"a.json": json_lines(records)}, None)
    one = train(alone, **asked, mini_batch_size=10)
    assert one.exit_code == 0, one.log

    parts = [records, records]
    if distribution == "ShardedByS3Key":
        parts = [records[:4], records[4:]]
    jobs = []
    for part in parts:
        job = make_job("host")
        for channel in ("train", "test"):
            files = {"a.json": json_lines(part)}
            job.channel(channel, files, None, S3DistributionType=distribution)
        jobs.append(job)
    first, second = train.on_hosts(jobs, **asked, mini_batch_size=5)
    assert (first.exit_code, second.exit_code) == (0, 0), first.log + second.log

    def said(ended: Ended, what: str) -> list[float]:
        return [float(number) for number in re.findall(rf"{what}=(\S+)", ended.log)]

    losses = r"epoch=\d+, train loss <loss>"
    assert said(first, losses) == said(second, losses)
    assert said(first, losses) == pytest.approx(said(one, losses), rel=1e-3)
    quantiles = "test mean_wQuantileLoss <loss>"
    assert said(first, quantiles) == pytest.approx(said(one, quantiles), rel=0.02)
    assert said(second, quantiles) == []
    assert sorted(path.name for path in first.model_dir.iterdir()) == [
        "model_127.0.0.2-0000.params",
        "model_127.0.0.2-config.json",
        "model_127.0.0.2-symbol.json",
    ]
    assert not second.model_dir.exists() or list(second.model_dir.iterdir()) == []
    shape = artifact.load(first.model_dir).shape
    assert (shape.cardinality, shape.dynamic_features) == ((3,), 1)
