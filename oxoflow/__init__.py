"""oxoflow runs bioinformatics workflows: checks them, runs them as DAGs, streams what happens.

Holds only the product version, the one that every place shows.
"""

__version__ = "0.1.0"
