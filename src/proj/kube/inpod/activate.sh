# Does what activating a conda environment does beyond its variables, then runs its arguments.
[ -n "${BASH_VERSION-}" ] || ! command -v bash >/dev/null 2>&1 || exec bash "$0" "$@"
exec 3>&1 1>&2
for __script in "$CONDA_PREFIX/.proj-variables.sh" "$CONDA_PREFIX"/etc/conda/activate.d/*.sh; do
    [ ! -f "$__script" ] || . "$__script"
done
unset __script
exec 1>&3 3>&-
exec "$@"
