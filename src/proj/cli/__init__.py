"""The command line: one file per command; `output` alone prints."""
