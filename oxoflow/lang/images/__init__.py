"""Spell the recipe of a container image."""
