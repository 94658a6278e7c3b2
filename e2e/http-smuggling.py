"""Requests in requests, through a gateway that passes HTTP on and through a naive proxy: python http-smuggling.py GATEWAY APP APP_LOG

GATEWAY and APP are ports. Both proxies refuse nothing of what they believe to be a body. Each attack hides a request in one;
the application tells in APP_LOG every request that it saw. Nothing hidden may be seen behind the gateway, and something must
be behind the naive proxy, or the attacks are none. Prints one line an attack and `N passed, N failed`.
"""

import re
import socket
import sys
import threading
import time

GATEWAY, APP, APP_LOG = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
PATIENCE = 3
HIDDEN = "GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def post(*lines, body, first="POST / HTTP/1.1", end="\r\n"):
    return end.join([first, "Host: 127.0.0.1", *lines, "", ""]) + body


def by_length(*lines, **more):
    """Whoever goes by Content-Length sees a body; whoever goes by the chunks sees its end and another request."""
    body = "0\r\n\r\n" + HIDDEN
    return lambda path: post(f"Content-Length: {len(body.format(path))}", *lines, body=body.format(path), **more)


def by_chunks(*lines, chunked="Transfer-Encoding: chunked", size="{:x}", end="\r\n"):
    """Whoever goes by the chunks sees one with a request in it; whoever reads its size otherwise sees that request."""
    def build(path):
        hidden = HIDDEN.format(path)
        return post(chunked, *lines, body=f"{size.format(len(hidden))}{end}{hidden}\r\n0\r\n\r\n")
    return build


CODING = "Transfer-Encoding: chunked"
ATTACKS = {
    "Content-Length and Transfer-Encoding": by_length(CODING),
    "a coding with a tab": by_length("Transfer-Encoding:\tchunked"),
    "a coding with a vertical tab": by_length("Transfer-Encoding: \x0bchunked"),
    "a folded coding": by_length("Transfer-Encoding:\r\n chunked"),
    "a coding in capitals": by_length("TRANSFER-ENCODING: CHUNKED"),
    "a blank before the colon": by_length("Transfer-Encoding : chunked"),
    "xchunked": by_length("Transfer-Encoding: xchunked"),
    "identity, chunked": by_length("Transfer-Encoding: identity, chunked"),
    "chunked, identity": by_length("Transfer-Encoding: chunked, identity"),
    "two codings": by_length("Transfer-Encoding: x", CODING),
    "a coding behind a bare LF": by_length("X: a\nTransfer-Encoding: chunked"),
    "a coding behind a bare CR": by_length("X: a\rTransfer-Encoding: chunked"),
    "a coding behind NUL": by_length("X: a\0\r\nTransfer-Encoding: chunked"),
    "a coding in HTTP/1.0": by_length(CODING, "Connection: keep-alive", first="POST / HTTP/1.0"),
    "bare LF everywhere": by_length(CODING, end="\n"),
    "two lengths": by_length("Content-Length: 0"),
    "a length of 0 and another": by_length("Content-Length: +0"),
    "lengths in a list": by_length("Content-Length: 0, 0"),
    "a length in Connection": by_length("Connection: content-length", CODING),
    "GET with both": by_length(CODING, first="GET / HTTP/1.1"),
    "a chunk's extension": by_chunks(size="{:x};a=b"),
    "a chunk's extension with LF": by_chunks(size="{:x};a\nb"),
    "a size in 0x": by_chunks(size="0x{:x}"),
    "a signed size": by_chunks(size="+{:x}"),
    "a size with a blank": by_chunks(size="{:x} "),
    "a size that overflows": by_chunks(size="1000000000000000{:02x}"),
    "a size behind a line feed": by_chunks(end="\n"),
}


def naive_proxy():
    """Believes Content-Length, the first one it finds, and passes all bytes on as they are, over one connection."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(client):
        with client, socket.create_connection(("127.0.0.1", APP), PATIENCE) as app:
            app.settimeout(PATIENCE)
            client.settimeout(PATIENCE)
            data = b""
            try:
                while b"\n\r\n" not in data and b"\n\n" not in data:
                    data += client.recv(65536)
                head = re.split(rb"\r?\n\r?\n", data, maxsplit=1)[0]
                length = re.search(rb"(?im)^content-length: *(\d+)", head)
                wanted = len(head) + 2 + (int(length[1]) if length else 0)
                while len(data) < wanted:
                    data += client.recv(65536)
                app.sendall(data)
                while answer := app.recv(65536):
                    client.sendall(answer)
            except OSError:
                pass

    def run():
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=run, daemon=True).start()
    return listener.getsockname()[1]


def attack(port, data):
    """Sends it and gives how many answers came, and the first status."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        connection.settimeout(0.7)
        everything = b""
        try:
            connection.sendall(data)
            while read := connection.recv(65536):
                everything += read
        except OSError:
            pass
    statuses = re.findall(rb"HTTP/1\.1 (\d{3}) ", everything)
    return len(statuses), statuses[0].decode() if statuses else "none"


def seen():
    time.sleep(0.5)
    with open(APP_LOG, encoding="utf-8", errors="replace") as log:
        return {line.split()[2] for line in log if line.startswith("request ") and "smuggled" in line}


results = []
naive = naive_proxy()
for number, (name, build) in enumerate(ATTACKS.items()):
    attack(naive, build(f"/smuggled/naive/{number}").encode("latin-1"))
    answers, status = attack(GATEWAY, build(f"/smuggled/gateway/{number}").encode("latin-1"))
    fine = answers <= 1 and status == "400"
    results.append(fine)
    print(f"{'ok  ' if fine else 'FAIL'}  {name}: {status}, {answers} answers")
hidden = seen()
through = sorted(path for path in hidden if "/gateway/" in path)
results.append(not through)
print(f"{'FAIL' if through else 'ok  '}  behind the gateway the application saw {through or 'nothing hidden'}")
fooled = len(hidden) - len(through)
results.append(fooled > 0)
print(f"{'ok  ' if fooled else 'FAIL'}  behind a naive proxy it saw {fooled} of {len(ATTACKS)}")
print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
sys.exit(not all(results))
