"""Run in a process of its own: make calls through a shared gate. argv: folder, address, calls."""

import asyncio
import sys
from pathlib import Path

from intake.fetching_child import settings_for
from tapemill.clock import SYSTEM_CLOCK
from tapemill.intake.breaker import BreakerPolicy
from tapemill.intake.budget import Budget, VendorFile
from tapemill.intake.governor import Governor
from tapemill.intake.wire import AiohttpTransport, WireCall

CAP, WINDOW = 10, 2.0


async def main(folder, address, calls):
    file = VendorFile(Path(folder) / "massive.sqlite")
    budget = Budget(file, per_minute=CAP, margin_seconds=0.2, window_seconds=WINDOW)
    gate = Governor("massive", file, budget, BreakerPolicy(), SYSTEM_CLOCK)
    transport = AiohttpTransport(settings_for(address))
    headers = {"authorization": "Bearer sandbox-key"}
    call = WireCall("massive", "massive", "GET", "/v1/marketstatus/now", headers=headers)

    async def one():
        grant = await gate.admit()
        answer = await transport.send(call, lambda: gate.arrived(grant))
        gate.settle(grant, failed=answer.status != 200)

    await asyncio.gather(*(one() for _ in range(calls)))
    await transport.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
