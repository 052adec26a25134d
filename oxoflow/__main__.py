"""Let `python -m oxoflow` be the command line."""

import sys

from oxoflow.cli import main

if __name__ == "__main__":
    sys.exit(main())
