"""A client in Python: python clients.py websockets|websocket-client URL [AUTHORITY.PEM]; prints `fine`, or fails.

It sends text, a ping and 60 kB, hears each again, closes with 4001 and sees that code come back.
"""

import ssl
import sys

library, url, *authority = sys.argv[1:]
TEXT = "grüß dich 👋"
BINARY = bytes(range(256)) * 240
CODE = 4001


def trust():
    context = ssl.create_default_context(cafile=authority[0])
    assert context.check_hostname
    return context


def by_websockets():
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    with connect(url, ssl=trust() if authority else None, open_timeout=10, close_timeout=10) as socket:
        for message in TEXT, BINARY:
            socket.send(message)
            assert socket.recv(timeout=10) == message
        assert socket.ping(b"still there").wait(10), "no pong"
        socket.close(CODE, "enough")
        try:
            socket.recv(timeout=10)
            raise AssertionError("a message after the close")
        except ConnectionClosed as closed:
            assert closed.rcvd and closed.rcvd.code == CODE, closed
            assert closed.rcvd.reason == "enough", closed


def by_websocket_client():
    import websocket

    options = {"ca_certs": authority[0]} if authority else {}
    socket = websocket.create_connection(url, timeout=10, sslopt=options)
    socket.send(TEXT)
    assert socket.recv() == TEXT
    socket.send_binary(BINARY)
    assert socket.recv() == BINARY
    socket.ping("still there")
    opcode, data = socket.recv_data(control_frame=True)
    assert (opcode, data) == (websocket.ABNF.OPCODE_PONG, b"still there"), (opcode, data)
    socket.send_close(CODE, b"enough")
    opcode, data = socket.recv_data(control_frame=True)
    assert (opcode, data) == (websocket.ABNF.OPCODE_CLOSE, CODE.to_bytes(2, "big") + b"enough"), (opcode, data)
    socket.shutdown()


{"websockets": by_websockets, "websocket-client": by_websocket_client}[library]()
print("fine")
