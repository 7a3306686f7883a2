# Unpacks the code that ConfigMaps brought, after a look at its digest, and makes the environment, if any.
set -eu
fail() { echo "proj: $1: $2" >&2; printf 'proj: %s: %s' "$1" "$2" >/dev/termination-log 2>/dev/null || true; exit 1; }
cd "$PROJ_CODE_DIR"
umask 0
if [ -n "${PROJ_CODE_SHA256:-}" ]; then
    archive=$PROJ_WORK_DIR/.code.tar.gz
    if [ -z "${PROJ_CODE_ARTIFACT:-}" ]; then
        cat "$PROJ_BUNDLE_DIR"/code.tar.gz.* >"$archive"
    elif command -v python3 >/dev/null 2>&1; then
        python3 "$PROJ_BUNDLE_DIR/artifacts.py" fetch "$PROJ_CODE_ARTIFACT" "$archive" ||
            fail source_failed "the code cannot be fetched from the tracking server"
    else
        fail source_failed "the image has no python3 to fetch the code from the tracking server with"
    fi
    if command -v sha256sum >/dev/null 2>&1; then
        found=$(sha256sum "$archive")
    elif command -v python3 >/dev/null 2>&1; then
        found=$(python3 -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$archive")
    else
        fail source_failed "the image has neither sha256sum nor python3 to check the code with"
    fi
    [ "${found%% *}" = "$PROJ_CODE_SHA256" ] || fail source_failed "the code that arrived is not the code that was sent"
    if command -v tar >/dev/null 2>&1 && command -v gzip >/dev/null 2>&1; then
        gzip -dc "$archive" | tar -xof - || fail source_failed "the code cannot be unpacked"
    elif command -v python3 >/dev/null 2>&1; then
        python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(".")' "$archive" ||
            fail source_failed "the code cannot be unpacked"
    else
        fail source_failed "the image has neither tar and gzip nor python3 to unpack the code with"
    fi
    rm -f "$archive"
fi
if [ -n "${PROJ_LOCK_DIGEST:-}" ]; then
    command -v python3 >/dev/null 2>&1 || fail env_failed "the image has no python3 to make the environment with; choose another one (--base-image), or have an image made (--delivery image)"
    exec python3 "$PROJ_BUNDLE_DIR/prepare.py"
fi
