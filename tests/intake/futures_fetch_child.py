"""Run in a process of its own: fetches of order data, each a fork that is killed at a later seam.

argv: lake, address of the vendor. The first dies before the import of what it bought, the second
after the import and before the ledger hears of it.
"""

import os
import signal
import sys
from pathlib import Path

from intake.futures_vendor import fetch, open_lake, settings_for
from tapemill.intake import futures_fetch
from tapemill.lake.control.ledger import Ledger


def die(*_arguments, **_options):
    """As if the power went."""
    os.kill(os.getpid(), signal.SIGKILL)


for owner, name in ((futures_fetch, "import_orders"), (Ledger, "record")):
    child = os.fork()
    if not child:
        setattr(owner, name, die)
        fetch(open_lake(Path(sys.argv[1])), settings_for(sys.argv[2]))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), (name, status)
