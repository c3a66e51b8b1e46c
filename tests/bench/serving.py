"""The hosting toolkit against the servers that people use in its place.

One XGBoost model behind each server, on the same two workers, asked in turns by the same load
generator. Peers that take no CSV are sent their own JSON.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.figures import Figure, report
from tests.bench.load import Load
from tests.bench.serving_hosts import OTHERS, OURS, UNDER_GUNICORN, Host, Rows, Running

ROUNDS = 3
SECONDS = 2
STARTS = 3
HERE = Path(__file__).parent
CONNECTIONS = (1, 8, 32)
LARGE_CONNECTIONS = (1, 8)


@dataclass(frozen=True)
class Case:
    """One kind of request."""

    name: str
    model: str
    rows: Rows
    connections: int


@dataclass
class Seen:
    """What was measured of one server."""

    host: Host
    ready_seconds: list[float] = field(default_factory=list)
    imports_seconds: list[float] = field(default_factory=list)
    memory_megabytes: list[float] = field(default_factory=list)
    loads: dict[str, list[Load]] = field(default_factory=dict)
    #: Processor time for each request, in microseconds: unlike rates, the same on a busy machine.
    costs: dict[str, list[float]] = field(default_factory=dict)

    def rate(self, case: Case) -> float:
        return statistics.median(load.requests_per_second for load in self.loads[case.name])

    def p99(self, case: Case) -> float:
        return statistics.median(load.p99_milliseconds for load in self.loads[case.name])


def measure(folder: Path, peers: Sequence[Host] = OTHERS) -> None:
    """Print every server's figures, and ours against the best of the peers and under gunicorn."""
    base = folder / "serving"
    script = HERE / "serving_models.py"
    subprocess.run([OURS.scripts / "python", script, base], check=True)
    seen = [Seen(host) for host in (OURS, UNDER_GUNICORN, *peers)]
    row, table = _cases()
    for one in seen:
        _measure_start(one, base)
    for cases in (row, table):
        _measure_loads(seen, cases, base)
    _print(seen, [*row, *table])
    _print_costs(seen, [*row, *table])
    ours, under_gunicorn, *others = seen
    _compare(ours, others, row, table)
    _compare_engines(ours, under_gunicorn, [*row, *table])
    _measure_overhead()


def _cases() -> tuple[list[Case], list[Case]]:
    one = [[5.1, 3.5, 1.4, 0.2]]
    numbers = random.Random(0)
    many = [[round(numbers.gauss(0, 1), 4) for _ in range(50)] for _ in range(1000)]
    row = [Case(f"1 row, {n}", "iris", one, n) for n in CONNECTIONS]
    return row, [Case(f"1,000 x 50, {n}", "wide", many, n) for n in LARGE_CONNECTIONS]


def _measure_start(seen: Seen, base: Path) -> None:
    """Start it beside a bare import of the same libraries; ours, which has a bar, repeatedly."""
    model = base / "iris" / "model" / "xgboost-model.ubj"
    for number in range(STARTS if seen.host is OURS else 1):
        folder = base / "starts" / f"{seen.host.name.replace('/', '-')}-{number}"
        seen.imports_seconds.append(seen.host.seconds_of_imports(model, folder))
        with seen.host.running(model, folder) as running:
            seen.ready_seconds.append(running.ready_seconds)


def _measure_loads(seen: Sequence[Seen], cases: Sequence[Case], base: Path) -> None:
    model = base / cases[0].model / "model" / "xgboost-model.ubj"
    with ExitStack() as stack:
        running: list[Running] = []
        for one in seen:
            folder = base / cases[0].model / one.host.name.replace("/", "-")
            running.append(stack.enter_context(one.host.running(model, folder)))
            running[-1].answer(cases[0].rows)
        for case in cases:
            for _ in range(ROUNDS):
                for one, server in zip(seen, running, strict=True):
                    before = server.processor_seconds()
                    load = server.shot(case.rows).fire(base, case.connections, SECONDS)
                    spent = server.processor_seconds() - before
                    cost = 1e6 * spent / (load.requests_per_second * SECONDS)
                    one.loads.setdefault(case.name, []).append(load)
                    one.costs.setdefault(case.name, []).append(cost)
        for one, server in zip(seen, running, strict=True):
            one.memory_megabytes.append(server.memory_megabytes())


def _print(seen: Sequence[Seen], cases: Sequence[Case]) -> None:
    print("\nServers in turns: requests per second, p99 in ms; medians")
    names = "".join(f"{case.name:>22}" for case in cases)
    print(f"  {'':<28}{names}{'ready s':>9}{'imports s':>11}{'PSS MB':>8}")
    for one in seen:
        loads = "".join(f"{one.rate(case):>13,.0f} {one.p99(case):>8.1f}" for case in cases)
        ready, imports = (statistics.median(v) for v in (one.ready_seconds, one.imports_seconds))
        memory = one.memory_megabytes[0]
        print(
            f"  {one.host.name:<28}{loads}{ready:>9.2f}{imports:>11.2f}{memory:>8.0f}", flush=True
        )


def _print_costs(seen: Sequence[Seen], cases: Sequence[Case]) -> None:
    print("\nProcessor time of a request, microseconds; medians")
    print(f"  {'':<28}" + "".join(f"{case.name:>16}" for case in cases))
    for one in seen:
        costs = "".join(f"{statistics.median(one.costs[case.name]):>16,.0f}" for case in cases)
        print(f"  {one.host.name:<28}{costs}", flush=True)


def _compare(ours: Seen, others: Sequence[Seen], row: list[Case], table: list[Case]) -> None:
    figures = []
    for case, times in [*((case, 3.0) for case in row), *((case, 1.0) for case in table)]:
        best = max(others, key=lambda other, case=case: other.rate(case))  # type: ignore[misc]
        pairs = zip(best.loads[case.name], ours.loads[case.name], strict=True)
        ratios = [theirs.requests_per_second / own.requests_per_second for theirs, own in pairs]
        # For one connection nothing is claimed: there the load generator waits for both alike.
        bar = None if case.connections == 1 and times == 3.0 else 1 / times
        figures.append(Figure(f"{best.host.name} / ours, {case.name}", ratios, "", bar))
        pairs = zip(best.loads[case.name], ours.loads[case.name], strict=True)
        late = [own.p99_milliseconds / theirs.p99_milliseconds for theirs, own in pairs]
        figures.append(Figure(f"p99: ours / {best.host.name}, {case.name}", late, "", 1.0))
    after = [r - i for r, i in zip(ours.ready_seconds, ours.imports_seconds, strict=True)]
    figures.append(Figure("ready after the interpreter's imports", after, "s", 1.0))
    middle = statistics.median(other.memory_megabytes[0] for other in others)
    memory = [ours.memory_megabytes[0] / middle]
    figures.append(Figure("memory (PSS): ours / the peers' median", memory, "", 1.0))
    report("Ours against the best of the others; the last number is connections", figures)


def _compare_engines(ours: Seen, under_gunicorn: Seen, cases: Sequence[Case]) -> None:
    figures = []
    for case in cases:
        pairs = zip(ours.loads[case.name], under_gunicorn.loads[case.name], strict=True)
        ratios = [own.requests_per_second / other.requests_per_second for own, other in pairs]
        figures.append(Figure(f"requests per second, {case.name}", ratios, ""))
    report("prefork / gunicorn", figures)


def _measure_overhead() -> None:
    done = subprocess.run(
        [OURS.scripts / "python", HERE / "serving_overhead.py"],
        capture_output=True,
        text=True,
        check=True,
    )
    figure = Figure(
        "the application, beyond parse, predict, encode", json.loads(done.stdout), "us", 50
    )
    report("Own overhead of a request", [figure])


if __name__ == "__main__":
    wanted = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="sagelocal-bench-") as name:
        measure(Path(name), [host for host in OTHERS if not wanted or host.name in wanted])
