"""Python's websockets with permessage-deflate: python compression.py serve, or python compression.py URL.

`serve` echoes and prints `listening on ws://127.0.0.1:PORT`. With a URL, 300 messages must come back as they were sent, with
compression agreed; it prints `fine`, or fails.
"""

import asyncio
import json
import sys


async def echo(socket):
    async for message in socket:
        await socket.send(message)


async def serve():
    from websockets.asyncio.server import serve as listen

    async with listen(echo, "127.0.0.1", 0, max_size=None) as server:
        print(f"listening on ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await asyncio.get_running_loop().create_future()


async def talk(url):
    from websockets.asyncio.client import connect

    async with connect(url, open_timeout=10, close_timeout=10) as socket:
        extensions = [extension.name for extension in socket.protocol.extensions]
        assert extensions == ["permessage-deflate"], extensions
        for number in range(300):
            text = json.dumps({"number": number, "text": "grüß dich 👋 " * (number % 50 * 30)}, ensure_ascii=False)
            message = text.encode() if number % 3 == 0 else text
            await socket.send(message)
            assert await asyncio.wait_for(socket.recv(), 10) == message, number
    print("fine")


asyncio.run(serve() if sys.argv[1] == "serve" else talk(sys.argv[1]))
