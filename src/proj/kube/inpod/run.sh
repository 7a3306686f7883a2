# Runs the command as a child: the first process of a container would not be ended by TERM.
# What the shell itself has to say ("Terminated") is no part of the program's output.
exec 3>&2 2>/dev/null
child= asked= ended=
# A signal for all that the program has started, as `proj` gives it on the user's own machine.
everybody() {
    if [ $$ = 1 ]; then
        kill "-$1" -1
    elif [ -n "$child" ]; then
        kill "-$1" "-$child" || kill "-$1" "$child"
    fi
}
trap "asked=1; everybody TERM" TERM
# Shells start what they do not wait for with INT ignored, unless they control jobs; few can without a terminal.
if [ -n "${BASH_VERSION-}" ]; then
    set -m
    "$@" </dev/null 2>&3 3>&- &
    child=$!
    set +m
elif command -v python3 >/dev/null; then
    python3 -ISc "import os, signal, sys
os.setpgid(0, 0)
for name in (\"SIGINT\", \"SIGQUIT\", \"SIGPIPE\", \"SIGXFSZ\"):
    signal.signal(getattr(signal, name), signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])" "$@" </dev/null 2>&3 3>&- &
    child=$!
else
    "$@" </dev/null 2>&3 3>&- &
    child=$!
fi
[ -z "$asked" ] || everybody TERM  # it came while the program was being started
wait "$child"
code=$?
while [ -n "$asked" ]; do  # the signal has ended the waiting, perhaps not the program
    asked= ended=1
    wait "$child"
    again=$?
    [ "$again" = 127 ] || code=$again
done
# What ends with the first process may need the grace too.
[ -z "$ended" ] || while everybody 0; do sleep 0.1 || sleep 1; done
trap : TERM
if [ -n "${PROJ_UPLOADER:-}" ] && { [ -n "${PROJ_OUTPUTS:-}" ] || [ -n "$(ls -A "$PROJ_ARTIFACTS")" ]; }; then
    if command -v python3 >/dev/null; then
        python3 "$PROJ_UPLOADER" send 2>&3
    elif [ -n "$(ls -A "$PROJ_ARTIFACTS")" ]; then
        echo "proj: what is in PROJ_ARTIFACTS is not kept: the image has no python3 to send it with" >&3
    else
        echo "proj: the outputs of the project are not kept: the image has no python3 to send them with" >&3
    fi
fi
exit "$code"
