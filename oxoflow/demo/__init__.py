"""Hold the demo: a workflow whose right answer is known, and a program that runs it on a server."""
