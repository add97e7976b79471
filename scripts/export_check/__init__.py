"""The checks of scripts/check_export, one idea a module; folder.py puts them together."""


class BadUsage(Exception):
    """The call cannot be followed; exit status 64."""
