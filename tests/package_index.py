"""Wheels made in a test, and a package index on this machine that has them."""

from __future__ import annotations

import ensurepip
import threading
import venv
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def make_wheel(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    requires: tuple[str, ...] = (),
    scripts: Mapping[str, str] = {},
) -> Path:
    """A package with one module of its name, which has its version as VERSION.

    `scripts` are console scripts, by name what each calls (`module:function`); `main` prints.
    """
    info = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {each}\n" for each in requires)
    files = {
        f"{name}.py": f"VERSION = {version!r}\n\n\ndef main():\n    print({name!r}, VERSION)\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": WHEEL,
        f"{info}/RECORD": "",
    }
    if scripts:
        lines = "".join(f"{script} = {target}\n" for script, target in scripts.items())
        files[f"{info}/entry_points.txt"] = f"[console_scripts]\n{lines}"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for place, text in files.items():
            wheel.writestr(place, text)
    return path


def create_with_pip(folder: Path, *, system_site_packages: bool = False) -> Path:
    """A virtual environment with pip, unpacked instead of installed where Python brings the wheel;
    its Python.
    """
    bundled = sorted(Path(ensurepip.__file__).parent.glob("_bundled/pip-*.whl"))
    venv.create(folder, with_pip=not bundled, system_site_packages=system_site_packages)
    packages = next(folder.glob("lib/python*/site-packages"))
    for path in bundled:
        with zipfile.ZipFile(path) as wheel:
            wheel.extractall(packages)
    return folder / "bin/python"


def create_on_top(folder: Path, python: Path) -> Path:
    """A virtual environment that sees the packages of another Python's, as a container's own does
    in the process runtime; its Python.
    """
    venv.create(folder, with_pip=False)
    below = str(next(python.parents[1].glob("lib/python*/site-packages")))
    packages = next(folder.glob("lib/python*/site-packages"))
    (packages / "_shared.pth").write_text(f"import site; site.addsitedir({below!r})\n")
    return folder / "bin/python"


@dataclass
class Index:
    """A package index (PEP 503) of the wheels in `folder`; `asked` are the paths of requests."""

    folder: Path
    url: str
    asked: list[str] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)

    @property
    def variables(self) -> dict[str, str]:
        """What makes pip ask it, and soon give up where it does not answer."""
        return {"PIP_INDEX_URL": self.url, "PIP_RETRIES": "1", "PIP_NO_INPUT": "1"}

    def downloads(self, name: str) -> int:
        """How often wheels of that name were fetched."""
        return sum(path.endswith(".whl") and f"/{name}-" in path for path in self.asked)


@contextmanager
def serving(folder: Path) -> Iterator[Index]:
    """An index of the wheels in `folder`, gone afterwards.

    Where `index.held` is cleared, whoever asks sets `index.reached` and waits for it.
    """

    class Pages(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            index.asked.append(self.path)
            index.reached.set()
            index.held.wait()
            if self.path.startswith("/simple/"):
                self._list(self.path.removeprefix("/simple/").strip("/"))
            else:
                super().do_GET()

        def _list(self, name: str) -> None:
            wheels = sorted(folder.glob(f"{name.replace('-', '_')}-*.whl"))
            body = "".join(f'<a href="/{path.name}">{path.name}</a>' for path in wheels).encode()
            self.send_response(200 if wheels else 404)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *args: Pages(*args, directory=str(folder))
    )
    server.daemon_threads = True
    index = Index(folder, f"http://127.0.0.1:{server.server_port}/simple")
    index.held.set()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield index
    finally:
        index.held.set()
        server.shutdown()
        server.server_close()
        thread.join()
