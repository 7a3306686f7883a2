"""Make the environment that a lock describes, in a pod: by uv where the image has it, else by pip."""
# mypy: ignore-errors
# Any Python from 3.6 on runs this, whatever the image has: no annotations, no newer syntax.

import fcntl
import glob
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

BUNDLE = os.environ["PROJ_BUNDLE_DIR"]
PROJECT = os.environ["PROJ_PROJECT_DIR"]
"""The project's folder: paths in its lists of requirements are relative to it."""
TARGET = os.environ["PROJ_ENVIRONMENT_DIR"]
MARKER = ".proj-complete"
COMMON = ["install", "--no-deps", "--no-input", "--disable-pip-version-check", "--quiet"]
"""How pip is asked to install what a lock names."""


def fail(word, message):
    """End with a failure word that the record gets."""
    sys.stderr.write("proj: %s: %s\n" % (word, message))
    try:
        with open("/dev/termination-log", "w") as log:
            log.write("proj: %s: %s" % (word, message))
    except OSError:
        pass
    sys.exit(1)


def check_python(wanted):
    """The lock is for one minor version."""
    here = "%d.%d" % sys.version_info[:2]
    if wanted and here != wanted:
        fail("env_failed", "the image has Python %s, and the lock is for Python %s" % (here, wanted))


def call(argv, **options):
    """Run a tool; its output is the container's log."""
    sys.stderr.write("$ %s\n" % " ".join(argv))
    sys.stderr.flush()
    return subprocess.call(argv, stdout=sys.stderr, **options) == 0


def pip_knows_python():
    """Whether the image's pip can install into another environment (pip 22.3, 2022)."""
    try:
        said = subprocess.check_output([sys.executable, "-m", "pip", "--version"], stderr=subprocess.DEVNULL)
        major, minor = said.decode().split()[1].split(".")[:2]
    except (OSError, ValueError, IndexError, subprocess.CalledProcessError):
        return False
    return (int(major), int(minor)) >= (22, 3)


def installer(python, there=False):
    """The command line of what installs; makes the environment unless it is there."""
    uv = shutil.which("uv")
    if uv:
        if not there and not call([uv, "venv", "--quiet", "--clear", "--python", sys.executable, TARGET]):
            fail("env_failed", "uv cannot make an environment")
        # Programs cannot write what they compile beside a shared one.
        compiling = ["--compile-bytecode"] if os.environ.get("PROJ_ENVIRONMENT_SHARED") else []
        return [uv, "pip", "install", "--quiet", "--python", python, "--no-deps"] + compiling
    if pip_knows_python():
        # Making one with a pip of its own takes seconds.
        if not there and not call([sys.executable, "-m", "venv", "--clear", "--without-pip", TARGET]):
            fail("env_failed", "the image's Python has no module venv")
        return [sys.executable, "-m", "pip", "--python", python] + COMMON
    if not there and not call([sys.executable, "-m", "venv", "--clear", TARGET]):
        fail("env_failed", "the image's Python has neither a usable pip nor a venv with one")
    return [python, "-m", "pip"] + COMMON


def rattler(folder):
    """Install what links conda packages into a folder."""
    tool = os.environ["PROJ_CONDA_TOOL"]
    uv, target = shutil.which("uv"), ["--quiet", "--target", folder, tool]
    command = [uv, "pip", "install", "--python", sys.executable] if uv else None
    command = command or [sys.executable, "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
    if not call(command + target):
        fail(
            "env_failed",
            "%s cannot be installed: conda packages need an image with Python 3.10 or newer, pip, and an "
            "index that it reaches; --delivery image needs none of these" % tool,
        )


def link_conda(packages):
    """Make a conda environment."""
    shutil.rmtree(TARGET, ignore_errors=True)
    work = tempfile.mkdtemp(dir=os.environ["PROJ_WORK_DIR"])
    rattler(os.path.join(work, "rattler"))
    path = dict(os.environ, PYTHONPATH=os.path.join(work, "rattler"), RUST_LOG="off")
    if not call([sys.executable, os.path.join(BUNDLE, "link.py"), packages, TARGET, work], env=path):
        fail("env_failed", "the conda packages cannot be installed; the log of proj-prepare says why")
    shutil.rmtree(work, ignore_errors=True)
    write_variables()
    for marker in glob.glob(os.path.join(TARGET, "lib", "python3*", "EXTERNALLY-MANAGED")):
        os.remove(marker)


def write_variables():
    """The variables that conda packages bring, as the script that activates the environment reads them."""
    found = {}
    for path in sorted(glob.glob(os.path.join(TARGET, "etc", "conda", "env_vars.d", "*.json"))):
        with open(path) as file:
            found.update(json.load(file))
    with open(os.path.join(TARGET, ".proj-variables.sh"), "w") as script:
        for name, value in found.items():
            if re.match(r"[A-Za-z_][A-Za-z0-9_]*$", name):
                script.write('[ -n "${%s+x}" ] || export %s=%s\n' % (name, name, shlex.quote(str(value))))


def listed(name):
    """The path of a list of requirements, if it names any."""
    path = os.path.join(BUNDLE, name)
    return path if os.path.exists(path) and os.path.getsize(path) else None


def build():
    """Make it, and write its marker last."""
    packages = listed("conda.txt")
    if packages:
        link_conda(packages)
    hashed, other = listed("requirements.txt"), listed("unhashed.txt")
    if hashed or other or not packages:
        command = installer(os.path.join(TARGET, "bin", "python"), there=bool(packages))
    if hashed and not call(command + ["--require-hashes", "-r", hashed], cwd=PROJECT):
        fail("env_failed", "the packages of the lock cannot be installed; the log of proj-prepare says why")
    if other and not call(command + ["-r", other], cwd=PROJECT):
        fail("env_failed", "the project's own packages cannot be installed; the log of proj-prepare says why")
    with open(os.path.join(TARGET, MARKER), "w"):
        pass


def main():
    """Make it unless it is there."""
    check_python(os.environ.get("PROJ_PYTHON_MINOR", ""))
    parent = os.path.dirname(TARGET)
    try:
        os.makedirs(parent, exist_ok=True)
        lock = open(TARGET + ".lock", "w")
    except OSError as error:
        fail("env_failed", "the environment's folder cannot be written: %s" % error)
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # on a shared volume others may be making the same
        if not os.path.exists(os.path.join(TARGET, MARKER)):
            build()


main()
