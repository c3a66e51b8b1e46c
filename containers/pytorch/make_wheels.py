"""Make CPU wheels of PyTorch and torchvision from Debian's packages, where no index has them.

    python3 containers/pytorch/make_wheels.py .build/wheels/pytorch

PyPI's torch for x86-64 is the CUDA build, gigabytes with what it needs. Debian bookworm has CPU
builds of torch 1.13.1 and torchvision 0.14.1 for Python 3.11; this repacks them under the names
that PyTorch's own CPU index gives to those versions, with the shared libraries that they use.

Debian's torch is linked to OpenCV, FFmpeg and others as well, from which it takes no symbol: those
entries are removed, and with them 130 libraries. BLAS and LAPACK are OpenBLAS's.

Needs Debian bookworm (apt-get, dpkg-deb) and the network; nothing is installed. On any other system
it makes nothing and says so: the wheels come from PyTorch's index there.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TAG = "cp311-cp311-linux_x86_64"
# The wheels' build number: to be raised when they change, as uv keeps wheels by their name.
EDITION = 2


@dataclass(frozen=True)
class Wheel:
    """One wheel: Python packages of Debian's, and where their shared libraries lie."""

    name: str
    version: str
    summary: str
    packages: tuple[str, ...]
    libraries: str
    requires: tuple[str, ...]
    entry_points: str = ""
    left_out: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        return f"{self.name}-{self.version}+cpu"

    @property
    def file(self) -> str:
        return f"{self.identity}-{EDITION}-{TAG}.whl"


TORCH = Wheel(
    name="torch",
    version="1.13.1",
    summary="PyTorch for the CPU, from Debian's packages",
    packages=("torch", "torchgen", "functorch"),
    libraries="torch/lib",
    requires=("typing-extensions",),
    entry_points="[console_scripts]\ntorchrun = torch.distributed.run:main\n",
    # Headers, and links to libraries that are put there by their own names.
    left_out=("include", "lib", "test"),
)
TORCHVISION = Wheel(
    name="torchvision",
    version="0.14.1",
    summary="Data sets, transforms and models for pictures, from Debian's package",
    packages=("torchvision",),
    libraries="torchvision/lib",
    requires=("numpy", "pillow", "requests", "torch==1.13.1", "typing-extensions"),
    # Reading videos would need FFmpeg.
    left_out=("video_reader.*.so",),
)
WHEELS = (TORCH, TORCHVISION)

DEBIAN_PACKAGES = (
    "python3-torch=1.13.1+dfsg-4",
    "libtorch1.13=1.13.1+dfsg-4",
    "python3-torchvision=0.14.1-2",
    "libcpuinfo0",
    "libdnnl2",
    "libfmt9",
    "libgflags2.2",
    "libgfortran5",
    "libgloo0",
    "libgomp1",
    "libgoogle-glog0v6",
    "libhiredis0.14",
    "libibverbs1",
    "libjpeg62-turbo",
    "liblzma5",
    "libnl-3-200",
    "libnl-route-3-200",
    "libnuma1",
    "libonnx1",
    "libopenblas0-openmp",
    "libpng16-16",
    "libprotobuf32",
    "libpthreadpool0",
    "libquadmath0",
    "libsleef3",
    "libtensorpipe0",
    "libunwind8",
    "libuv1",
    "libxnnpack0",
    "ocl-icd-libopencl1",
    "patchelf",
    "zlib1g",
)
LICENCES_OF = ("python3-torch", "python3-torchvision", "libopenblas0-openmp", "libdnnl2")

# Part of every Linux that has Python 3.11.
OF_THE_SYSTEM = re.compile(
    r"(libc|libm|libdl|libpthread|librt|libstdc\+\+|libgcc_s|ld-linux.*)\.so.*"
)
# What libtorch_cpu is linked to and takes no symbol from.
UNUSED = re.compile(
    r"lib(opencv_.*|av(codec|format|util)|sw(scale|resample)|lmdb|leveldb|snappy|zmq|OpenCL|zstd)\.so.*"
)


@dataclass(frozen=True)
class Edit:
    """A line of a Python file that is written otherwise."""

    path: str
    old: str
    new: str

    def apply(self, tree: Path) -> None:
        path = tree / self.path
        text = path.read_text()
        if text.count(self.old) != 1:
            sys.exit(f"{self.path} of Debian's package does not hold {self.old!r} once.")
        path.write_text(text.replace(self.old, self.new))


EDITS = (
    Edit("torch/version.py", "'1.13.0a0'", f"'{TORCH.version}+cpu'"),
    # PyTorch 1.13 is older than Python 3.11, which leaves zero out of a loop over a flag:
    # torchrun reads its own default, "0", by one.
    Edit(
        "torch/distributed/elastic/multiprocessing/api.py",
        "for s in Std:",
        "for s in Std.__members__.values():",
    ),
    # And which refuses a default that can change.
    Edit(
        "torch/distributed/_shard/sharded_tensor/metadata.py",
        "field(default=TensorProperties())",
        "field(default_factory=TensorProperties)",
    ),
)


def main(folder: Path) -> None:
    """Make the wheels in `folder`. Raises CalledProcessError, whose command has said why."""
    folder.mkdir(parents=True, exist_ok=True)
    if "VERSION_CODENAME=bookworm" not in _release():
        print("This is not Debian bookworm: PyTorch is not repacked, and comes from its own index.")
        return
    with tempfile.TemporaryDirectory(prefix=".debian-", dir=folder) as scratch:
        debian = Debian.unpacked(Path(scratch))
        for older in folder.glob("*.whl"):
            older.unlink()
        for wheel in WHEELS:
            tree = Path(scratch) / wheel.name
            debian.lay_out(wheel, tree)
            made = Path(scratch) / wheel.file
            _zip(tree, made)
            made.rename(folder / wheel.file)
            print(f"{folder / wheel.file}: {(folder / wheel.file).stat().st_size / 1e6:.1f} MB")


@dataclass(frozen=True)
class Debian:
    """Debian's packages, unpacked below `root`."""

    root: Path

    @staticmethod
    def unpacked(scratch: Path) -> Debian:
        _download(scratch)
        for package in sorted(scratch.glob("*.deb")):
            _run("dpkg-deb", "--extract", package, scratch / "root")
        return Debian(scratch / "root")

    def lay_out(self, wheel: Wheel, tree: Path) -> None:
        """The wheel's tree: its Python packages, each shared library under its own name."""
        for name in wheel.packages:
            source = self.root / "usr/lib/python3/dist-packages" / name
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, tree / name, symlinks=True, ignore=ignore)
        for pattern in wheel.left_out:
            for path in (tree / wheel.name).glob(pattern):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        (tree / wheel.libraries).mkdir()
        if wheel is TORCH:
            self._finish_torch(tree)
        for part in sorted(tree.rglob("*.cpython-*.so")):
            self._bring(part, wheel, tree)
        self._describe(wheel, tree)

    def _finish_torch(self, tree: Path) -> None:
        for program in (tree / "torch/bin").iterdir():
            if program.name == "torch_shm_manager":
                self._bring(program, TORCH, tree)
            else:
                program.unlink()
        # torch/__init__.py opens this one by a name without a version, before all others.
        first = tree / TORCH.libraries / "libtorch_global_deps.so"
        shutil.copyfile(self._find("libtorch_global_deps.so.1.13"), first)
        self._bring(first, TORCH, tree)
        for edit in EDITS:
            edit.apply(tree)

    def _bring(self, binary: Path, wheel: Wheel, tree: Path) -> None:
        """Put a binary's libraries into the wheel, and let it look for them there."""
        needed = self._patchelf("--print-needed", binary).split()
        unused = [name for name in needed if "torch_cpu" in binary.name and UNUSED.fullmatch(name)]
        options = [option for name in unused for option in ("--remove-needed", name)]
        up = "/".join(["$ORIGIN", *(".." for _ in binary.relative_to(tree).parts[1:])])
        places = dict.fromkeys((wheel.libraries, TORCH.libraries))
        if options:  # by itself: with other options patchelf leaves these out
            self._patchelf(*options, binary)
        self._patchelf("--set-rpath", ":".join(f"{up}/{each}" for each in places), binary)
        for name in needed:
            target = tree / wheel.libraries / name
            if name in unused or target.exists() or self._is_elsewhere(name, wheel):
                continue
            shutil.copyfile(self._find(name), target)
            self._bring(target, wheel, tree)

    def _is_elsewhere(self, name: str, wheel: Wheel) -> bool:
        in_torch = wheel is not TORCH and re.match(r"lib(torch|c10)", name) is not None
        return in_torch or OF_THE_SYSTEM.fullmatch(name) is not None

    def _find(self, name: str) -> Path:
        found = next(self.root.rglob(name), None)
        if found is None:
            sys.exit(f"{name} is in none of DEBIAN_PACKAGES; add the package that has it.")
        return found.resolve()

    def _patchelf(self, *arguments: str | Path) -> str:
        return _run(self.root / "usr/bin/patchelf", *arguments)

    def _describe(self, wheel: Wheel, tree: Path) -> None:
        """The wheel's metadata (core metadata 2.1, PEP 427)."""
        folder = tree / f"{wheel.identity}.dist-info"
        folder.mkdir()
        requires = "".join(f"Requires-Dist: {each}\n" for each in wheel.requires)
        (folder / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {wheel.name}\nVersion: {wheel.version}+cpu\n"
            f"Summary: {wheel.summary}\nLicense: BSD-3-Clause\nRequires-Python: ==3.11.*\n"
            + requires
        )
        (folder / "WHEEL").write_text(
            f"Wheel-Version: 1.0\nGenerator: make_wheels.py\nRoot-Is-Purelib: false\nTag: {TAG}\n"
        )
        if wheel.entry_points:
            (folder / "entry_points.txt").write_text(wheel.entry_points)
        for name in LICENCES_OF:
            licence = self.root / "usr/share/doc" / name / "copyright"
            if licence.is_file():
                shutil.copyfile(licence, folder / f"LICENSE.{name}")


def _release() -> list[str]:
    """The lines of os-release(5), if there is one."""
    path = Path("/etc/os-release")
    return path.read_text().split() if path.exists() else []


def _download(folder: Path) -> None:
    command = ["apt-get", "download", "-qq", *DEBIAN_PACKAGES]
    # As root, apt warns that its own user cannot write here, and then does it as root.
    if subprocess.run(command, cwd=folder, stderr=subprocess.DEVNULL).returncode:
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(command, cwd=folder, check=True)


def _run(*command: str | Path) -> str:
    done = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE)
    return done.stdout.decode()


def _zip(tree: Path, wheel: Path) -> None:
    """The tree as a wheel, with the checksums of all its files (PEP 427)."""
    record = next(tree.glob("*.dist-info")) / "RECORD"
    listed = record.relative_to(tree).as_posix()
    lines = []
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in _files(tree):
            name = path.relative_to(tree).as_posix()
            content = path.read_bytes()
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            lines.append(f"{name},sha256={digest.decode()},{len(content)}\n")
            archive.write(path, name)
        archive.writestr(listed, "".join(lines) + f"{listed},,\n")


def _files(tree: Path) -> Iterable[Path]:
    return sorted(path for path in tree.rglob("*") if path.is_file())


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
