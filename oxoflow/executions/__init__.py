"""Serve executions of graphs: start them, answer what they ask, show them. No Flask here."""
