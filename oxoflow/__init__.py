"""oxoflow runs bioinformatics workflows: checks them, runs them as DAGs, streams what happens.

Holds the product version, the one that every place shows, and how often Python looks for cycles.
"""

import gc

__version__ = "0.1.0"

# Modules, and tens of thousands of jobs, live as long as the process: looking for cycles among them
# every few hundred allocations costs a fifth of a start, and of a run that has nothing to do.
gc.set_threshold(100_000, 20, 50)
# For a process that does one thing at a time: ten thousand jobs are done with before that.
SELDOM = (1_000_000, 20, 50)
