"""A run's artifacts, from a pod by MLflow's protocol: fetch one, or send PROJ_ARTIFACTS and the outputs."""
# mypy: ignore-errors
# Any Python from 3.6 on runs this, whatever the image has: no annotations, no newer syntax.

import base64
import glob
import json
import mimetypes
import os
import shutil
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

SERVER = os.environ.get("MLFLOW_TRACKING_URI", "").rstrip("/")
RUN_ID = os.environ.get("MLFLOW_RUN_ID", "")
FOLDER = os.environ.get("PROJ_ARTIFACTS", "")
TIMEOUT_S = 60
LONGEST_PAUSE_S = 8
REFUSALS = (400, 401, 403, 413)


def ask(method, path, data=None, length=None, kind="application/json"):
    """Open the server's answer, with the credentials that the program has."""
    asked = urllib.request.Request(SERVER + path, data=data, method=method)
    asked.add_header("Content-Type", kind)
    if length is not None:
        asked.add_header("Content-Length", str(length))
    password = os.environ.get("MLFLOW_TRACKING_PASSWORD")
    if os.environ.get("MLFLOW_TRACKING_USERNAME") and password:
        pair = "%s:%s" % (os.environ["MLFLOW_TRACKING_USERNAME"], password)
        asked.add_header("Authorization", "Basic " + base64.b64encode(pair.encode()).decode())
    elif os.environ.get("MLFLOW_TRACKING_TOKEN"):
        asked.add_header("Authorization", "Bearer " + os.environ["MLFLOW_TRACKING_TOKEN"])
    return urllib.request.urlopen(asked, timeout=TIMEOUT_S)


def request(method, path, **options):
    """The server's answer as a whole."""
    with ask(method, path, **options) as answer:
        return answer.read()


def root():
    """Where the run's artifacts are, below the server's proxy."""
    query = urllib.parse.urlencode({"run_id": RUN_ID})
    run = json.loads(request("GET", "/api/2.0/mlflow/runs/get?" + query).decode())
    uri = run["run"]["info"]["artifact_uri"]
    if not uri.startswith("mlflow-artifacts:"):
        raise ValueError("the server keeps artifacts at %s, which is no place behind it" % uri)
    return urllib.parse.unquote(urllib.parse.urlsplit(uri).path).strip("/")


def inside(path, folder):
    """Whether a file is in a folder, whatever links it goes by."""
    return os.path.realpath(path).startswith(os.path.realpath(folder) + os.sep) and os.path.isfile(path)


def files():
    """All files to keep, each with its path among the run's artifacts.

    No links that lead elsewhere, and nothing below `proj/`, where the record itself is.
    """
    for path, relative in candidates():
        name = os.path.normpath(relative).replace(os.sep, "/")
        if name.split("/")[0] != "proj":
            yield path, name


def candidates():
    """What is in PROJ_ARTIFACTS, and what the patterns of the outputs name."""
    for folder, _, names in os.walk(FOLDER):
        for name in sorted(names):
            path = os.path.join(folder, name)
            if inside(path, FOLDER):
                yield path, os.path.relpath(path, FOLDER)
    for pattern in json.loads(os.environ.get("PROJ_OUTPUTS", "[]")):
        for path in sorted(glob.glob(pattern, recursive=True)):
            if inside(path, "."):
                yield path, path


def place(base, name):
    """The path of an artifact on the server."""
    return "/api/2.0/mlflow-artifacts/artifacts/" + urllib.parse.quote("%s/%s" % (base, name))


def patiently(work, *arguments):
    """Do something, again where the server is away for a moment; what it refuses it will refuse again."""
    pause_s = 1
    while True:
        try:
            return work(*arguments)
        except Exception as error:
            if pause_s > LONGEST_PAUSE_S or getattr(error, "code", None) in REFUSALS:
                raise
        time.sleep(pause_s)
        pause_s *= 2


def put(path, target):
    """Send one file."""
    kind = mimetypes.guess_type(target)[0] or "application/octet-stream"
    with open(path, "rb") as file:
        request("PUT", target, data=file, length=os.path.getsize(path), kind=kind)


def refusal(path, target):
    """Send one file; what the server has against it, if anything."""
    try:
        patiently(put, path, target)
    except urllib.error.HTTPError as error:
        if error.code not in REFUSALS:
            raise
        return str(error)
    return None


def send():
    """Send all; say what could not be sent."""
    found = list(files())
    if not found:  # then it does not matter whether the server takes any
        return
    base = patiently(root)
    refusals = [(name, refusal(path, place(base, name))) for path, name in found]
    refused = ["%s (%s)" % (name, said) for name, said in refusals if said]
    if refused:
        raise ValueError("the server does not take %s" % ", ".join(refused))


def get(name, target):
    """Fetch one artifact."""
    with ask("GET", place(root(), name)) as answer, open(target, "wb") as file:
        shutil.copyfileobj(answer, file)


def main():
    """`send`, or `fetch NAME FILE`."""
    if not SERVER.startswith(("http://", "https://")) or not RUN_ID:
        raise ValueError("no tracking server is known")
    if sys.argv[1] == "send":
        send()
    else:
        patiently(get, *sys.argv[2:])  # whoever asked looks at its digest


try:
    main()
except Exception as error:  # noqa: BLE001  a word is all that can be said
    what = "what is in PROJ_ARTIFACTS is not kept" if sys.argv[1] == "send" else "the code cannot be fetched"
    sys.stderr.write("proj: %s: %s\n" % (what, error))
    sys.exit(1)
