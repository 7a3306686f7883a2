# Runs the command as a child: the first process of a container would not be ended by TERM.
# What the shell itself has to say ("Terminated") is no part of the program's output.
exec 3>&2 2>/dev/null
child=
trap '[ -z "$child" ] || kill -TERM "$child"' TERM
"$@" 2>&3 3>&- &
child=$!
wait "$child"
code=$?
while kill -0 "$child"; do
    wait "$child"
    code=$?
done
if [ -n "${PROJ_UPLOADER:-}" ] && { [ -n "${PROJ_OUTPUTS:-}" ] || [ -n "$(ls -A "$PROJ_ARTIFACTS")" ]; }; then
    if command -v python3 >/dev/null; then
        python3 "$PROJ_UPLOADER" send 2>&3
    else
        echo "proj: what is in PROJ_ARTIFACTS is not kept: the image has no python3 to send it with" >&3
    fi
fi
exit "$code"
