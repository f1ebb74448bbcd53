"""Python's Tornado in a thread, for the programs that compare ctornado with it."""
# SPDX-License-Identifier: Apache-2.0
import asyncio
import threading

import harness


class TornadoThread:
    """Listens while a block runs. A subclass has listen(), which returns (name, server) for each
    of its servers; `ports` says by name where they are."""

    def __enter__(self):
        self.ports, ready = {}, threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)))
        self.thread.start()
        harness.check(ready.wait(harness.PATIENCE), "Tornado does not start")
        return self

    async def _serve(self, ready):
        self.loop, self.stopped = asyncio.get_running_loop(), asyncio.Event()
        servers = []
        for name, server in self.listen():
            self.ports[name] = next(iter(server._sockets.values())).getsockname()[1]
            servers.append(server)
        ready.set()
        await self.stopped.wait()
        for server in servers:
            server.stop()
            await server.close_all_connections()

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.stopped.set)
        self.thread.join()
