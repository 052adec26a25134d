"""Describe the HTTP API once: what is published, what requests are checked against, and the test's
measure of every answer. Pure data and functions; knows no Flask."""
