"""The one error of this room: a sentence for the person at the terminal."""


class LaunchError(Exception):
    """The program cannot start; the text says why and what to do about it. Exit code 2."""
