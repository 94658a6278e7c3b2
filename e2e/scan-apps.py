"""Echo servers in Python: python scan-apps.py websockets|aiohttp; prints `listening on ws://127.0.0.1:PORT`."""

import asyncio
import sys


async def by_websockets():
    from websockets.asyncio.server import serve

    async def echo(socket):
        async for message in socket:
            await socket.send(message)

    async with serve(echo, "127.0.0.1", 0) as server:
        announce(server.sockets[0].getsockname()[1])
        await server.serve_forever()


async def by_aiohttp():
    from aiohttp import WSMsgType, web

    async def echo(request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data)
        return socket

    app = web.Application()
    app.router.add_get("/", echo)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    announce(runner.addresses[0][1])
    await asyncio.Event().wait()


def announce(port):
    print(f"listening on ws://127.0.0.1:{port}", flush=True)


asyncio.run({"websockets": by_websockets, "aiohttp": by_aiohttp}[sys.argv[1]]())
