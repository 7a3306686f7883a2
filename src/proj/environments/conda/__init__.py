"""Environments of conda packages, with conda or without.

`declared` reads what a project asks for, `lock` makes and finds the explicit list of packages that answers
it, `build` links them and has uv install the `pip:` section, `activation` says what a command finds then. The
solving and linking is rattler's, in a process of its own (`worker`), or that of a conda program (`program`).
"""
