"""What a launch costs at most."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sagelocal.account import CloudError
from sagelocal.cloud.plan import Place, plan_of
from sagelocal.cloud.prices import cost_of, load_prices
from sagelocal.cloud.spec import read_spec

HEAD = 'name = "j"\nimage = "i"\n'
INSTANCE = '[instance]\ntype = "ml.m5.large"\ncount = 2\n'
LIMIT = "limits.max_run_seconds = 5400\n"
LIST = """instance_type,price_per_hour,region,use
ml.m5.large,0.10,,
ml.m5.large,0.20,eu-west-1,
ml.m5.large,0.40,eu-west-1,endpoint
"""


def cost(text: str, prices: str, folder: Path, region: str, name: str = "p.csv") -> str | None:
    """The cost as it is shown."""
    (folder / name).write_text(prices)
    spec = read_spec(HEAD + text, "job.toml", folder)
    place = Place("j", datetime(2026, 1, 1, tzinfo=UTC), "i", "r", "b")
    found = cost_of(spec, plan_of(spec, place), load_prices(folder / name), region)
    return None if found is None else str(found)


def test_a_job_costs_price_times_count_times_its_longest_run(tmp_path: Path) -> None:
    assert cost(LIMIT + INSTANCE, LIST, tmp_path, "us-east-1") == (
        "at most 0.30 (2 x ml.m5.large at 0.10 per hour for max_run_seconds = 5400)"
    )


def test_the_line_that_says_most_counts(tmp_path: Path) -> None:
    assert "at most 0.60" in str(cost(LIMIT + INSTANCE, LIST, tmp_path, "eu-west-1"))
    endpoint = cost('kind = "endpoint"\n' + INSTANCE, LIST, tmp_path, "eu-west-1")
    assert str(endpoint).startswith("0.80 per hour, until it is deleted")


def test_what_is_not_in_the_list_has_no_cost(tmp_path: Path) -> None:
    assert cost(INSTANCE.replace("m5", "m4"), LIST, tmp_path, "eu-west-1") is None
    assert cost('kind = "endpoint"\n[serverless]\n', LIST, tmp_path, "eu-west-1") is None


def test_a_json_list_does_as_well(tmp_path: Path) -> None:
    prices = '[{"instance_type": "ml.m5.large", "price_per_hour": 0.1}]'

    assert "at most 0.30" in str(cost(LIMIT + INSTANCE, prices, tmp_path, "x", "p.json"))


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("p.csv", "type,price\n", "has no column 'instance_type'"),
        ("p.csv", "instance_type,price_per_hour\nml.x,cheap\n", "p.csv, line 2: instance_type is"),
        ("p.csv", "instance_type,price_per_hour\nml.x,-1\n", "price_per_hour '-1'"),
        ("p.csv", "instance_type,price_per_hour,cost\n", None),
        ("p.csv", "instance_type,price_per_hour,cost\nml.x,1,2\n", "'cost' is not one of"),
        ("p.csv", "instance_type,price_per_hour,use\nml.x,1,train\n", "use is 'train'"),
        ("p.json", "{}", "is not a list of objects"),
        ("p.json", "[", "is no JSON"),
        ("p.json", '[{"instance_type": 1}]', "p.json, entry 1"),
    ],
)
def test_a_list_that_cannot_be_used_is_told(
    name: str, text: str, words: str | None, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)

    if words is None:
        assert load_prices(tmp_path / name) == ()
    else:
        with pytest.raises(CloudError, match=words.replace("(", r"\(")):
            load_prices(tmp_path / name)


def test_a_list_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CloudError, match=r"none\.csv cannot be read"):
        load_prices(tmp_path / "none.csv")
