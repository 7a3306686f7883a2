python from_shell.py "$@"
