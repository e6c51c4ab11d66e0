"""How much of the library's types a user's type checker can see: `python tests/api/typed.py PERCENT`, by pyright."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path


def main(wanted: float) -> int:
    bin_folder = Path(sys.executable).parent
    # Found by their first place: this tree's esamp, and the packages beside this Python.
    environment = os.environ | {"PYTHONPATH": ".", "PATH": f"{bin_folder}{os.pathsep}{os.environ.get('PATH', '')}"}
    command = [bin_folder / "pyright", "--verifytypes", "esamp", "--ignoreexternal", "--outputjson"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)["typeCompleteness"]
    score = 100 * found["completenessScore"]
    print(f"types known: {score:.1f} % of {sum(found['exportedSymbolCounts'].values())} public symbols")
    if score >= wanted:
        return 0
    print(f"wanted: {wanted:g} %; of these the type is missing, or could be read differently:")
    known = (symbol for symbol in found["symbols"] if symbol["isExported"] and not symbol["isTypeKnown"])
    doubtful = (symbol for symbol in found["symbols"] if symbol["isExported"] and symbol["isTypeAmbiguous"])
    print(*sorted({f"  {symbol['name']}" for symbols in (known, doubtful) for symbol in symbols}), sep="\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
