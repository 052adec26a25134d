"""Speak HTTP: the only package that knows Flask."""
