"""`python -m tapemill` is `tapemill`."""

from __future__ import annotations

from tapemill.cli import main

if __name__ == "__main__":
    main()
