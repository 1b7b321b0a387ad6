# An echo server of Python's websockets that pings nobody, and prints the pongs
# and close codes that reach it.
import asyncio
import logging

import websockets


class Pongs(logging.Handler):
    def emit(self, record):
        if record.getMessage().startswith("< PONG"):
            print("pong", flush=True)


logger = logging.getLogger("quiet")
logger.setLevel(logging.DEBUG)
logger.propagate = False
logger.addHandler(Pongs())


async def echo(ws):
    try:
        while True:
            await ws.send(await ws.recv())
    except websockets.ConnectionClosed as e:
        print("close", e.rcvd.code if e.rcvd else 1006, flush=True)


async def main():
    async with websockets.serve(echo, "127.0.0.1", 0, ping_interval=None, logger=logger) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


asyncio.run(main())
