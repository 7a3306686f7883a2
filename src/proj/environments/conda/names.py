"""conda packages by their names on PyPI: what `--env-manager uv` takes of a conda file.

Most Python packages have one name in both worlds. `OTHER_NAMES` are those that have not, from the mapping
that conda-forge's maintainers keep (regro/cf-graph, as grayskull ships it), and the variants of a package
that only conda has (`pytorch-gpu`). `BROUGHT_ALONG` is what Python and wheels contain, and `NOT_THERE` is
what PyPI has something else under, or nothing that would do: those are never looked up by their conda names.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from proj.environments.condafile import as_pip
from proj.environments.requirements import requirement_name

if TYPE_CHECKING:
    from proj.environments.conda.specs import CondaSpec
    from proj.environments.inputs import PythonInput

OTHER_NAMES = {
    "airflow": "apache-airflow", "analytics-python": "segment-analytics-python", "arch-py": "arch",
    "boruta_py": "boruta", "cython-blis": "blis", "dask-core": "dask", "docker-py": "docker",
    "faiss": "faiss-cpu", "h2o-py": "h2o", "h3-py": "h3", "keras-gpu": "keras",
    "matplotlib-base": "matplotlib", "msgpack-python": "msgpack", "nvidia-ml": "nvidia-ml-py3",
    "opencv": "opencv-python", "pandera-core": "pandera", "py-opencv": "opencv-python",
    "py-xgboost": "xgboost", "py-xgboost-cpu": "xgboost", "py-xgboost-gpu": "xgboost", "pyqt": "pyqt5",
    "pysoundfile": "soundfile", "pytables": "tables", "python-annoy": "annoy", "python-blosc": "blosc",
    "python-build": "build", "python-duckdb": "duckdb", "python-fastjsonschema": "fastjsonschema",
    "python-flatbuffers": "flatbuffers", "python-graphviz": "graphviz", "python-hdfs": "hdfs",
    "python-igraph": "igraph", "python-kubernetes": "kubernetes", "python-sounddevice": "sounddevice",
    "python-tzdata": "tzdata", "python-wget": "wget", "python-xxhash": "xxhash", "python-zstd": "zstd",
    "pytorch": "torch", "pytorch-cpu": "torch", "pytorch-gpu": "torch", "pytorch_cluster": "torch-cluster",
    "pytorch_geometric": "torch-geometric", "pytorch_sparse": "torch-sparse",
    "pytorch_spline_conv": "torch-spline-conv", "qtconsole-base": "qtconsole",
    "quaternion": "numpy-quaternion", "ray-core": "ray", "redis-py": "redis", "seaborn-base": "seaborn",
    "segment-anything": "segment-anything-py", "tensorflow-base": "tensorflow",
    "tensorflow-mkl": "tensorflow", "tiledb-py": "tiledb", "torchvision-cpu": "torchvision",
    "trino-python-client": "trino", "xgboost-gpu": "xgboost",
}  # fmt: skip
"""conda's name -> PyPI's."""

BROUGHT_ALONG = frozenset({
    # what Python itself is made of, or brings
    "_libgcc_mutex", "_openmp_mutex", "bzip2", "ca-certificates", "expat", "ld_impl_linux-64",
    "libedit", "libexpat", "libffi", "libgcc", "libgcc-ng", "libgfortran", "libgfortran-ng", "libgfortran4",
    "libgfortran5", "libgomp", "libnsl", "libsqlite", "libstdcxx", "libstdcxx-ng", "libuuid", "libxcrypt",
    "libzlib", "ncurses", "openssl", "python_abi", "readline", "sqlite", "tk", "xz", "zlib",
    # what wheels of numeric packages contain
    "_tflow_select", "blas", "cpuonly", "freetype", "jpeg", "libblas", "libcblas", "liblapack",
    "libopenblas", "libpng", "libtiff", "libwebp", "llvm-openmp", "lz4-c", "mkl", "mkl_fft",
    "mkl_random", "nomkl", "openblas",
    "openjpeg", "pytorch-cuda", "pytorch-mutex", "tensorflow-estimator-base", "zstd",
})  # fmt: skip
"""Libraries that need not be installed beside a Python and wheels from PyPI."""

NOT_THERE = frozenset({
    "anaconda", "blosc", "boost", "boost-cpp", "bwa", "c-compiler", "clang", "compilers", "cuda",
    "cuda-toolkit", "cudatoolkit", "cudatoolkit-dev", "cudnn", "curl", "cxx-compiler", "eigen", "ffmpeg",
    "fftw", "fortran-compiler", "gcc", "gdal-bin", "geos", "gflags", "git", "glib", "glog", "go",
    "graphviz", "gxx", "hdf5", "icu", "java-jdk", "julia", "krb5", "lame", "leveldb", "libopencv", "lmdb",
    "make", "nccl", "netcdf4-c", "nodejs", "openjdk", "openmpi", "opencv3", "pandoc", "perl", "poppler",
    "postgresql", "proj", "protoc", "qt", "r", "samtools", "snappy", "swig", "tesseract", "unixodbc",
    "wget", "x264", "yaml", "zeromq",
})  # fmt: skip
"""Programs and libraries, whose names on PyPI are of something else or of nothing."""
_NOT_THERE = re.compile(r"^(?:r|perl|ruby|lua|lib\w+|xorg|gcc_\w+|gxx_\w+|mkl-devel|cuda|gst)-|^lib[a-z]")
_LOCKED = re.compile(r'(?m)^name = "([^"]+)"\nversion = "([^"]+)"')
_LIBRARIES_OF_PYTHON = frozenset({"libclang", "libcst", "librosa", "librt", "libsass", "libtmux", "libusb1"})


IMPLIED = {
    "scikit-learn": ("numpy", "scipy"), "statsmodels": ("numpy", "scipy", "pandas"),
    "xgboost": ("numpy", "scipy"),
    "lightgbm": ("numpy", "scipy", "scikit-learn"), "matplotlib": ("numpy",),
}  # fmt: skip
"""What conda brings with a package, and older releases on PyPI need without saying so."""


class ByName(msgspec.Struct, frozen=True, kw_only=True):
    """The conda packages of a file, as far as PyPI may have them."""

    lines: tuple[str, ...] = ()
    """Requirements for pip."""
    written: tuple[tuple[str, str], ...] = ()
    """Distribution -> how the conda file writes it."""
    absent: tuple[str, ...] = ()
    """Those that PyPI surely has not, as written."""
    notes: tuple[str, ...] = ()


def by_name(specs: tuple[CondaSpec, ...], platform: str) -> ByName:
    """Say conda packages to pip.

    Args:
        specs: Without Python and its build packages.
        platform: conda's name for this machine; what other systems alone have is left out.
    """
    from proj.environments.conda.platforms import foreign_to

    lines: dict[str, str] = {}
    written: dict[str, str] = {}
    absent: list[str] = []
    brought: list[str] = []
    loose: list[str] = []
    for spec in specs:
        if spec.name in BROUGHT_ALONG or foreign_to(spec.name, platform):
            brought.append(spec.name)
        elif is_absent(spec.name):
            absent.append(spec.written)
        else:
            name = requirement_name(OTHER_NAMES.get(spec.name, spec.name))
            version = as_pip(spec.version)
            if not version and spec.version not in ("", "*"):
                loose.append(spec.written)
            lines[name] = name + version
            written[name] = spec.written
    for name in tuple(lines):
        for need in IMPLIED.get(name, ()):
            lines.setdefault(need, need)
    notes = []
    if brought:
        notes.append(
            f"Left out, since Python and wheels bring their own or do without: {', '.join(brought)}."
        )
    notes += [f"pip cannot say {text}: any version of it will do." for text in loose]
    return ByName(
        lines=tuple(lines.values()), written=tuple(written.items()), absent=tuple(absent), notes=tuple(notes)
    )


def taken_notes(project: PythonInput, lock: str) -> tuple[str, ...]:
    """What of a conda file a lock has from PyPI, and what PyPI has nothing for.

    Args:
        project: What is declared, with its conda packages as requirements.
        lock: The pylock.toml that it came to.
    """
    if not project.from_conda and not project.absent:
        return ()
    locked = dict(_LOCKED.findall(lock))
    taken = [f"{name} {locked[name]}" for name, _ in project.from_conda if name in locked]
    left = [*project.absent, *(written for name, written in project.from_conda if name not in locked)]
    notes = [f"Taken from PyPI instead of conda: {', '.join(taken)}."] if taken else []
    if left and project.drop_missing:
        notes.append(f"Left out, since PyPI has nothing for them: {', '.join(left)}.")
    return tuple(notes)


def is_absent(name: str) -> bool:
    """Whether PyPI has nothing that would do for a conda package, whatever it has under the name."""
    if name in _LIBRARIES_OF_PYTHON or name in OTHER_NAMES:
        return False
    return name in NOT_THERE or _NOT_THERE.match(name) is not None
