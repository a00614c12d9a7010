"""One file per sub-command, with what cli.py asks of it.

`TITLE` and `DESCRIPTION` are for its parser, `add_flags` gives that its flags (design 11), `run` returns the exit
status; `failed`, where there is a JSON form, makes the JSON of a call that ended before there was anything to show.
"""
