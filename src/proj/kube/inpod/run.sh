# Runs the command as a child: the first process of a container would not be ended by TERM.
child=
trap '[ -z "$child" ] || kill -TERM "$child" 2>/dev/null' TERM
"$@" &
child=$!
wait "$child"
code=$?
while kill -0 "$child" 2>/dev/null; do
    wait "$child"
    code=$?
done
if [ -n "${PROJ_UPLOADER:-}" ] && [ -n "$(ls -A "$PROJ_ARTIFACTS" 2>/dev/null)" ]; then
    if command -v python3 >/dev/null 2>&1; then
        python3 "$PROJ_UPLOADER" || true
    else
        echo "proj: what is in PROJ_ARTIFACTS is not kept: the image has no python3 to send it with" >&2
    fi
fi
exit "$code"
