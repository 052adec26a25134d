"""Hold the checks of `lint`, one concern a file."""
