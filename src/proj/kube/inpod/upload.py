"""Send PROJ_ARTIFACTS and the project's outputs from a pod to the tracking server, by MLflow's protocol."""
# mypy: ignore-errors
# Any Python from 3.6 on runs this, whatever the image has: no annotations, no newer syntax.

import base64
import glob
import json
import mimetypes
import os
import sys
import urllib.error
import urllib.parse
import urllib.request

SERVER = os.environ.get("MLFLOW_TRACKING_URI", "").rstrip("/")
RUN_ID = os.environ.get("MLFLOW_RUN_ID", "")
FOLDER = os.environ["PROJ_ARTIFACTS"]
TIMEOUT_S = 60


def request(method, path, data=None, length=None, kind="application/json"):
    """Ask the server, with the credentials that the program had."""
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
    with urllib.request.urlopen(asked, timeout=TIMEOUT_S) as answer:
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
    """All files to keep, each with its path among the run's artifacts; no links that lead elsewhere."""
    for folder, _, names in os.walk(FOLDER):
        for name in sorted(names):
            path = os.path.join(folder, name)
            if inside(path, FOLDER):
                yield path, os.path.relpath(path, FOLDER).replace(os.sep, "/")
    for pattern in json.loads(os.environ.get("PROJ_OUTPUTS", "[]")):
        for path in sorted(glob.glob(pattern, recursive=True)):
            if inside(path, ".") and not path.startswith("proj/"):
                yield path, os.path.normpath(path).replace(os.sep, "/")


def main():
    """Send all; say what could not be sent."""
    if not SERVER.startswith(("http://", "https://")) or not RUN_ID:
        raise ValueError("no tracking server is known")
    base = root()
    for path, name in files():
        target = "/api/2.0/mlflow-artifacts/artifacts/" + urllib.parse.quote("%s/%s" % (base, name))
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        with open(path, "rb") as file:
            request("PUT", target, data=file, length=os.path.getsize(path), kind=kind)


try:
    main()
except Exception as error:  # noqa: BLE001  the program has ended: a word is all that can be said
    sys.stderr.write("proj: what is in PROJ_ARTIFACTS is not kept: %s\n" % error)
    sys.exit(1)
