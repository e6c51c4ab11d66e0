"""`python -m esamp`: the command line."""

import sys

from esamp.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
