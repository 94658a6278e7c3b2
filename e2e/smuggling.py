"""Requests that two parsers may read differently: python smuggling.py PORT APP_LOG

Each goes over its own connection, once with a second request right behind it and once with the second sent after the answer.
A good handshake must upgrade; anything else must be answered once, the connection closed, and the second request never be
answered. In the end APP_LOG, where the application tells every request that it saw, must name the good ones and no other.
Prints one line a case and `N passed, N failed`.
"""

import re
import socket
import sys
import time

PORT, APP_LOG = int(sys.argv[1]), sys.argv[2]
PATIENCE = 5

KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
VERSION = "Sec-WebSocket-Version: 13"
LINES = ["Host: 127.0.0.1", "Upgrade: websocket", "Connection: Upgrade", KEY, VERSION]
H2C = ["Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"]


def request(lines=LINES, first="GET {} HTTP/1.1", body="", end="\r\n"):
    return end.join([first, *lines, "", ""]) + body


def plus(*more, body=""):
    return request([*LINES, *more], body=body)


def without(start):
    return [line for line in LINES if not line.startswith(start)]


def instead(start, *lines):
    return [*without(start), *lines]


GOOD = {
    "as in RFC 6455": request(),
    "names in lower case": request([line.split(":")[0].lower() + ":" + line.split(":")[1] for line in LINES]),
    "Connection: keep-alive, Upgrade": request(instead("Connection", "Connection: keep-alive, Upgrade")),
    "Upgrade: WebSocket": request(instead("Upgrade", "Upgrade: WebSocket")),
    "an extension is offered": plus("Sec-WebSocket-Extensions: permessage-deflate"),
    "blanks around a value": plus("X-Blank: \t a b \t "),
}
BAD = {
    "an ordinary request": request(["Host: 127.0.0.1"]),
    "POST": request(first="POST {} HTTP/1.1"),
    "POST with a body": request([*LINES, "Content-Length: 5"], first="POST {} HTTP/1.1", body="hello"),
    "a method in lower case": request(first="get {} HTTP/1.1"),
    "HTTP/1.0": request(first="GET {} HTTP/1.0"),
    "HTTP/2.0": request(first="GET {} HTTP/2.0"),
    "HTTP/0.9": "GET {}\r\n\r\n",
    "two blanks in the request line": request(first="GET  {} HTTP/1.1"),
    "a tab in the request line": request(first="GET\t{} HTTP/1.1"),
    "a blank in the target": request(first="GET {}?a b HTTP/1.1"),
    "a fragment in the target": request(first="GET {}#top HTTP/1.1"),
    "a control character in the target": request(first="GET {}\x01 HTTP/1.1"),
    "absolute form with another host": request(first="GET http://evil.example{} HTTP/1.1"),
    "authority form": request(first="CONNECT 127.0.0.1:80 HTTP/1.1"),
    "asterisk form": request(first="OPTIONS * HTTP/1.1"),
    "no Host": request(without("Host")),
    "an empty Host": request(instead("Host", "Host:")),
    "two Hosts": plus("Host: evil.example"),
    "a Host with a path": request(instead("Host", "Host: 127.0.0.1/evil")),
    "a Host with a user": request(instead("Host", "Host: 127.0.0.1@evil.example")),
    "no Upgrade": request(without("Upgrade")),
    "Upgrade: h2c": request([*instead("Upgrade", "Upgrade: h2c"), *H2C]),
    "Upgrade: websocket, h2c": request([*without("Connection"), *H2C, "Upgrade: h2c"]),
    "Upgrade: websocket-": request(instead("Upgrade", "Upgrade: websocket-")),
    "no Connection": request(without("Connection")),
    "Connection: keep-alive": request(instead("Connection", "Connection: keep-alive")),
    "no key": request(without("Sec-WebSocket-Key")),
    "a short key": request(instead("Sec-WebSocket-Key", "Sec-WebSocket-Key: abc")),
    "a key that is no base64": request(instead("Sec-WebSocket-Key", "Sec-WebSocket-Key: !!!!IHNhbXBsZSBub25jZQ==")),
    "two keys": plus(KEY),
    "no version": request(without("Sec-WebSocket-Version")),
    "version 1337": request(instead("Sec-WebSocket-Version", "Sec-WebSocket-Version: 1337")),
    "versions 13 and 8": plus("Sec-WebSocket-Version: 8"),
    "Content-Length: 0 and 5": plus("Content-Length: 0", "Content-Length: 5", body="hello"),
    "Content-Length and its body": plus("Content-Length: 5", body="hello"),
    "Content-Length: +5": plus("Content-Length: +5", body="hello"),
    "Content-Length: 5, 5": plus("Content-Length: 5, 5", body="hello"),
    "Transfer-Encoding": plus("Transfer-Encoding: chunked", body="0\r\n\r\n"),
    "Content-Length and Transfer-Encoding": plus("Content-Length: 4", "Transfer-Encoding: chunked", body="0\r\n\r\n"),
    "Transfer-Encoding, folded": plus("Transfer-Encoding:\r\n chunked", body="0\r\n\r\n"),
    "Transfer-Encoding: xchunked": plus("Transfer-Encoding: xchunked", body="0\r\n\r\n"),
    "Transfer-Encoding twice": plus("Transfer-Encoding: identity", "Transfer-Encoding: chunked", body="0\r\n\r\n"),
    "a blank before the colon": plus("Content-Length : 0"),
    "a tab before the colon": plus("X-Tab\t: 0"),
    "a line without a colon": plus("X-No-Colon"),
    "an empty name": plus(": empty"),
    "a folded line": plus("X-Folded: a\r\n b"),
    "the first line folded": request([" X-Folded: a", *LINES]),
    "bare LF": request(end="\n"),
    "bare LF in the middle": plus("X-LF: a\nContent-Length: 5"),
    "bare CR in a value": plus("X-CR: a\rb"),
    "NUL in a value": plus("X-NUL: a\0b"),
    "NUL in a name": plus("X-N\0L: a"),
    "a byte of 0x80 in a name": plus("X-\x80: a"),
    "a frame before the answer": request(body="\x81\x85\0\0\0\0hello"),
    "a request before the answer": request(body="GET /behind HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"),
    "a quarter of a megabyte of header": plus("X-Large: " + "a" * 262_144),
    "a thousand headers": plus(*(f"X-{at}: a" for at in range(1000))),
}


def converse(head, second, at_once):
    """Gives the status, whether it ended, and everything that came."""
    with socket.create_connection(("127.0.0.1", PORT), PATIENCE) as connection:
        connection.settimeout(PATIENCE)
        everything = b""
        deadline = time.monotonic() + PATIENCE
        try:
            connection.sendall(head + (second if at_once else b""))
            if not at_once:
                everything += connection.recv(65536)
                connection.sendall(second)
        except (ConnectionError, TimeoutError):
            pass
        ended = False
        while time.monotonic() < deadline:
            try:
                read = connection.recv(65536)
            except TimeoutError:
                break
            except ConnectionError:
                read = b""
            if not read:
                ended = True
                break
            everything += read
    match = re.match(rb"HTTP/1\.1 (\d{3}) ", everything)
    return (match[1].decode() if match else "none"), ended, everything


def judge(target, text, good, at_once):
    """Gives the status, and what is wrong or nothing."""
    head = text.replace("{}", target).encode("latin-1")
    second = f"GET /second{target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
    status, ended, everything = converse(head, second, at_once)
    answers = len(re.findall(rb"HTTP/1\.", everything))
    if (status == "101") != good or status.startswith("2"):
        return status, f"answered {status}"
    if answers > 1:
        return status, f"{answers} answers"
    return status, None if ended else "the connection stays open"


def tell(is_fine, text):
    print(f"{'ok  ' if is_fine else 'FAIL'}  {text}")
    return is_fine


results = []
expected = set()
for number, (name, text) in enumerate([*GOOD.items(), *BAD.items()]):
    good = name in GOOD
    statuses, wrong = [], []
    # What comes with a handshake before its answer makes a good one bad: that is a case of its own.
    for order in ["after"] if good else ["behind", "after"]:
        target = f"/{number}-{order}"
        if good:
            expected.add(target)
        status, problem = judge(target, text, good, order == "behind")
        statuses.append(status)
        if problem:
            wrong.append(f"{problem} with the second request {order}")
    results.append(tell(not wrong, "; ".join([f"{name}: {' '.join(statuses)}", *wrong])))

time.sleep(0.5)
with open(APP_LOG, encoding="utf-8") as log:
    seen = {line.split()[2] for line in log if line.startswith("request ")}
results.append(tell(seen == expected, f"the application saw {len(seen)} requests: {sorted(seen ^ expected) or 'the good ones'}"))
print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
sys.exit(not all(results))
