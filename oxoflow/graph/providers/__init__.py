"""Speak to language models: one module per wire form, requests and answers as plain data."""
