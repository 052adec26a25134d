"""Hold the bodies of the command line's verbs; they know no Flask."""
