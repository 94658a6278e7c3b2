//! Whatever is wrong with what the program is given: one clear line, the documented exit code, nothing else.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    thread,
};

use sockwarden_net::{DevCertificate, ServerTls};

use crate::bench::{Bench, certificate};

#[test]
fn a_command_line_that_makes_no_sense_is_2() {
    let mut bench = Bench::new();
    let mut check = |arguments: &str, expected: &str| bench.check(arguments, 2, expected);
    check("frobnicate", "error: unrecognized subcommand 'frobnicate'");
    check("gard", "error: unrecognized subcommand 'gard'; a similar subcommand exists: 'guard'");
    check(
        "guard",
        "error: the following required arguments were not provided: --listen <ADDRESS:PORT> --upstream <URL> --auth <HOW>",
    );
    check(
        "guard --listen 127.0.0.1:0",
        "error: the following required arguments were not provided: --upstream <URL> --auth <HOW>",
    );
    check(
        "guard --lisen 127.0.0.1:0",
        "error: unexpected argument '--lisen' found; a similar argument exists: '--listen'",
    );
    check(
        "guard --listen nowhere --upstream ws://127.0.0.1:9 --auth none",
        "error: invalid value 'nowhere' for '--listen <ADDRESS:PORT>': an address with a port is needed, such as 127.0.0.1:8443 or [::]:8443",
    );
    check(
        "guard --listen 127.0.0.1:99999 --upstream ws://127.0.0.1:9 --auth none",
        "error: invalid value '127.0.0.1:99999' for '--listen <ADDRESS:PORT>': an address with a port is needed, such as 127.0.0.1:8443 or [::]:8443",
    );
    check(
        "guard --listen 127.0.0.1:0 --upstream app --auth none",
        "error: invalid value 'app' for '--upstream <URL>': a URL begins with ws:// or wss://",
    );
    check(
        "guard --listen 127.0.0.1:0 --upstream ws://a:marked-secret@app --auth none",
        "error: invalid value for '--upstream <URL>': a user name or password in the URL is not supported: use a header",
    );
    check(
        "guard --listen 127.0.0.1:0 --upstream ftp://app --auth none",
        "error: invalid value 'ftp://app' for '--upstream <URL>': a URL begins with ws:// or wss://",
    );
    check(
        "guard --listen 127.0.0.1:0 --upstream ws://127.0.0.1:9 --auth maybe",
        "error: invalid value 'maybe' for '--auth <HOW>': write `none`, or `forward:URL` such as forward:https://127.0.0.1:3000/api/session",
    );
    check(
        "guard --listen 127.0.0.1:0 --upstream ws://127.0.0.1:9 --auth forward:",
        "error: invalid value 'forward:' for '--auth <HOW>': a URL begins with ws:// or wss://",
    );
    check(
        "guard --listen 127.0.0.1:0 --upstream ws://127.0.0.1:9 --auth none --auth-user-header X-User",
        "error: `--auth-user-header` needs `--auth forward:URL`",
    );
    check(
        "guard --listen 127.0.0.1:0 --upstream ws://127.0.0.1:9 --auth none --limits none",
        "error: invalid value 'none' for '--limits <SET>' [possible values: default, relaxed]",
    );
    check(
        "guard --listen 127.0.0.1:0 --upstream ws://127.0.0.1:9 --auth none --origin app.example",
        "error: invalid value 'app.example' for '--origin <ORIGIN>': an origin is a scheme, a host and perhaps a port, such as https://app.example:8443, and nothing after",
    );
    check(
        "guard --listen 127.0.0.1:0 --upstream ws://127.0.0.1:9 --auth none --tls-cert a.pem",
        "error: the following required arguments were not provided: --tls-key <FILE>",
    );
    check(
        "guard --listen 127.0.0.1:0 --upstream ws://127.0.0.1:9 --auth none --tls-dev --tls-cert a --tls-key b",
        "error: the argument '--tls-dev' cannot be used with '--tls-cert <FILE>'",
    );
    check(
        "guard -c a.toml --listen 127.0.0.1:0",
        "error: the argument '--config <FILE>' cannot be used with '--listen <ADDRESS:PORT>'",
    );
    check(
        "guard -c a.toml --auth-user-header X-User",
        "error: the argument '--config <FILE>' cannot be used with '--auth-user-header <HEADER>'",
    );
    check(
        "config",
        "error: the following required arguments were not provided: <--schema|--example|--effective|--openapi|--new-token <FILE>>",
    );
    check(
        "config --schema --explain app",
        "error: the argument '--schema' cannot be used with '--explain <ROUTE>'",
    );
    check("config --schema --example", "error: the argument '--schema' cannot be used with '--example'");
    check(
        "explain no-such-rule-at-all",
        "error: there is no rule `no-such-rule-at-all`: `sockwarden explain` lists them",
    );
    check("explain orgin-policy", "error: there is no rule `orgin-policy`: did you mean `origin-policy`?");
    check("explain --markdown", "error: the following required arguments were not provided: <ID>");
    check("why", "error: the following required arguments were not provided: --log <FILE> <ID>");
    check("why 0123456789", "error: the following required arguments were not provided: --log <FILE>");
    check(
        "why 012345678 --log events.jsonl",
        "error: invalid value '012345678' for '<ID>': `012345678` is no event id: ten letters and digits",
    );
    check(
        "why 012345678U --log events.jsonl",
        "error: invalid value '012345678U' for '<ID>': `012345678U` is no event id: ten letters and digits",
    );
    check(
        "lab --listen here",
        "error: invalid value 'here' for '--listen <ADDRESS:PORT>': an address with a port is needed, such as 127.0.0.1:8443 or [::]:8443",
    );
    check(
        "lab --safe --without stored-xss",
        "error: the argument '--safe' cannot be used with '--without <FLAW>'",
    );
}

#[test]
fn what_a_scan_cannot_be_asked_is_2() {
    let mut bench = Bench::new();
    bench.file("empty.pem", "");
    bench.file("header.txt", "Cookie sid=marked-secret\n");
    let mut check = |arguments: &str, expected: &str| bench.check(arguments, 2, expected);
    check("scan", "error: the following required arguments were not provided: <URL>...");
    check("scan app.example", "error: `app.example`: a URL begins with ws:// or wss://");
    check("scan ftp://app.example/", "error: `ftp://app.example/`: a URL begins with ws:// or wss://");
    check(
        "scan ws:///chat",
        "error: `ws:///chat`: the host is missing or malformed (write an international name in its xn-- form)",
    );
    check(
        "scan ws://user:password@app.example/",
        "error: `ws://***@app.example/`: a user name or password in the URL is not supported: use a header",
    );
    check(
        "scan ws://app.example:0/",
        "error: `ws://app.example:0/`: the port is not a number from 1 to 65535",
    );
    check(
        "scan ws://app.example:port/",
        "error: `ws://app.example:port/`: the port is not a number from 1 to 65535",
    );
    check(
        "scan ws://[::1/",
        "error: `ws://[::1/`: the host is missing or malformed (write an international name in its xn-- form)",
    );
    check(
        "scan ws://bücher.example/",
        "error: `ws://b\\xc3\\xbccher.example/`: the host is missing or malformed (write an international name in its xn-- form)",
    );
    check(
        "scan ws://app.example/#top",
        "error: `ws://app.example/#top`: a WebSocket URL has no fragment (`#`)",
    );
    check(
        "scan ws://app.example/a~b",
        "error: `ws://app.example/a b`: the path holds a blank or another character that must be percent-encoded",
    );
    check(
        "scan ws://app.example/\u{1b}[2J",
        "error: `ws://app.example/\\x1b[2J`: the path holds a blank or another character that must be percent-encoded",
    );
    check("scan -", "error: standard input names no endpoint");
    check(
        "scan ws://127.0.0.1:1/ --as marked-secret",
        "error: invalid value for '--as <NAME=HEADER>': a user is `NAME=Header: value` or `NAME=@FILE`",
    );
    check(
        "scan ws://127.0.0.1:1/ --as mara=marked-secret",
        "error: invalid value for '--as <NAME=HEADER>': a header is `Name: value`",
    );
    check(
        "scan ws://127.0.0.1:1/ --as mara=@absent.txt",
        "error: invalid value for '--as <NAME=HEADER>': `absent.txt` cannot be read: No such file or directory (os error 2)",
    );
    check(
        "scan ws://127.0.0.1:1/ --as mara=@header.txt",
        "error: invalid value for '--as <NAME=HEADER>': a header is `Name: value`",
    );
    check(
        "scan ws://127.0.0.1:1/ --header marked-secret",
        "error: invalid value for '--header <NAME: VALUE>': a header is `Name: value`",
    );
    check(
        "scan ws://127.0.0.1:1/ --header A~B:~marked-secret",
        "error: the header `A B` has a malformed name or value",
    );
    check(
        "scan ws://127.0.0.1:1/ --as mara=Cookie:~a\u{7f}",
        "error: the header `Cookie` has a malformed name or value",
    );
    check(
        "scan ws://127.0.0.1:1/ --as mara=Cookie:~a=b --same-site sometimes",
        "error: `sometimes` is no SameSite attribute: none, lax, strict, absent or unknown",
    );
    check(
        "scan ws://127.0.0.1:1/ --as mara=Cookie:~a=b --same-site ivo=lax",
        "error: --same-site ivo=lax: there is no such user (--as)",
    );
    check("scan ws://127.0.0.1:1/ --say-as ivo=hello", "error: --say-as ivo: there is no such user (--as)");
    check(
        "scan ws://127.0.0.1:1/ --say-as marked-secret",
        "error: invalid value for '--say-as <NAME=TEXT>': a user's message is `NAME=TEXT`",
    );
    check("scan ws://127.0.0.1:1/ --privileged ivo", "error: --privileged ivo: there is no such user (--as)");
    check(
        "scan ws://127.0.0.1:1/ --logout /logout",
        "error: invalid value for '--logout <REQUEST>': a request is `METHOD URL [BODY]`, such as `POST https://app.example/logout`",
    );
    check(
        "scan ws://127.0.0.1:1/ --ticket-from POST~/ticket",
        "error: invalid value for '--ticket-from <REQUEST>': the URL of a request begins with http:// or https://",
    );
    check(
        "scan ws://127.0.0.1:1/ --ticket-at ticket",
        "error: invalid value 'ticket' for '--ticket-at <POINTER>': a JSON Pointer is empty or begins with `/`, such as `/data/ticket`",
    );
    check(
        "scan ws://127.0.0.1:1/ --ticket-in ticket",
        "error: invalid value 'ticket' for '--ticket-in <PLACE>': the place of a ticket holds `{ticket}` once, such as `?ticket={ticket}`",
    );
    check("scan ws://127.0.0.1:1/ --route admin", "error: the route `admin` is not a path such as `/admin`");
    check(
        "scan ws://app.example/ --profile intrusive",
        "error: the intrusive profile may cost `app.example` its service: say --i-am-authorised if its owner agrees, or use \
         the profile safe",
    );
    check("scan ws://127.0.0.1:1/ --same-site lax", "error: --same-site lax: there is no such user (--as)");
    check(
        "scan ws://127.0.0.1:1/ --origin app.example",
        "error: the origin `app.example` is not a scheme, a host and perhaps a port",
    );
    check("scan ws://127.0.0.1:1/ --subprotocol a~b", "error: the sub-protocol `a b` is no token");
    check(
        "scan ws://127.0.0.1:1/ --profile reckless",
        "error: invalid value 'reckless' for '--profile <PROFILE>' [possible values: passive, safe, intrusive]",
    );
    check(
        "scan ws://127.0.0.1:1/ --check no-such-check-at-all",
        "error: there is no check `no-such-check-at-all`: `sockwarden explain` lists them",
    );
    check(
        "scan ws://127.0.0.1:1/ --check origin-not-cheked",
        "error: there is no check `origin-not-cheked`: did you mean `origin-not-checked`?",
    );
    check(
        "scan ws://127.0.0.1:1/ --rate 0",
        "error: invalid value '0' for '--rate <N>': a whole number from 1 up is needed",
    );
    check(
        "scan ws://127.0.0.1:1/ --concurrency -1",
        "error: invalid value '-1' for '--concurrency <N>': a whole number from 1 up is needed",
    );
    check(
        "scan ws://127.0.0.1:1/ --time forever",
        "error: invalid value 'forever' for '--time <DURATION>': a duration begins with a number, as in `10s`",
    );
    check(
        "scan ws://127.0.0.1:1/ --time 5",
        "error: invalid value '5' for '--time <DURATION>': a duration needs a unit, as in `5s` or `5ms`",
    );
    check(
        "scan ws://127.0.0.1:1/ --time 0s",
        "error: invalid value '0s' for '--time <DURATION>': some time is needed, such as 10s",
    );
    check(
        "scan ws://127.0.0.1:1/ --timeout 1.5s",
        "error: invalid value '1.5s' for '--timeout <DURATION>': a duration is made of whole numbers: take a smaller unit, as in `1m30s` or `500ms`",
    );
    check(
        "scan ws://127.0.0.1:1/ --max-size 1MB",
        "error: invalid value '1MB' for '--max-size <SIZE>': the unit `MB` is ambiguous: write `MiB` (1 KiB = 1024 B)",
    );
    check(
        "scan ws://127.0.0.1:1/ --max-size 99999999TiB",
        "error: invalid value '99999999TiB' for '--max-size <SIZE>': the size is larger than 16 EiB",
    );
    check(
        "scan ws://127.0.0.1:1/ --fail-on awful",
        "error: invalid value 'awful' for '--fail-on <SEVERITY>': `awful` is no severity: info, low, medium, high or critical",
    );
    check(
        "scan ws://127.0.0.1:1/ --ca empty.pem --insecure",
        "error: the argument '--ca <FILE>' cannot be used with '--insecure'",
    );
    check(
        "scan ws://127.0.0.1:1/ --ca empty.pem",
        "error: --ca: `empty.pem`: there is no certificate in PEM in it",
    );
    check(
        "scan ws://127.0.0.1:1/ --ca absent.pem",
        "error: --ca: `absent.pem` cannot be read: No such file or directory (os error 2)",
    );
    check(
        "scan ws://127.0.0.1:1/ --output report.html",
        "error: invalid value 'report.html' for '--output <FORMAT=FILE>': a report is `FORMAT=FILE`",
    );
    check(
        "scan ws://127.0.0.1:1/ --output html=report.html",
        "error: invalid value 'html=report.html' for '--output <FORMAT=FILE>': the formats are jsonl, sarif and text",
    );
    check(
        "scan ws://127.0.0.1:1/ --output jsonl=absent/report.jsonl",
        "error: `absent/report.jsonl` cannot be written: No such file or directory (os error 2)",
    );
    check(
        "scan ws://127.0.0.1:1/ --output sarif=a --output jsonl=a",
        "error: two reports would be written to `a`",
    );
    bench.check_given("scan -", "\n# nothing\n", 2, "error: standard input names no endpoint");
    bench.check_given(
        "scan -",
        "ws://127.0.0.1:1/\nnonsense\n",
        2,
        "error: `nonsense`: a URL begins with ws:// or wss://",
    );
}

#[test]
fn a_target_that_cannot_be_scanned_is_3() {
    let mut bench = Bench::new();
    let mut check = |arguments: String, address: SocketAddr, expected: &str| {
        let expected = expected.replace("PORT", &address.port().to_string());
        bench.check(&arguments, 3, &expected);
    };
    // Nobody listens on the port of tcpmux.
    let free = SocketAddr::from(([127, 0, 0, 1], 1));
    check(
        format!("scan ws://{free}/"),
        free,
        "error: ws://127.0.0.1:PORT/: connection refused by 127.0.0.1:PORT",
    );
    check(
        "scan ws://no-such-name.invalid/".to_owned(),
        free,
        "error: ws://no-such-name.invalid/: the name `no-such-name.invalid` does not resolve",
    );
    let mut answered = |answer, expected: &str| {
        let address = answering(answer);
        check(format!("scan ws://{address}/chat"), address, expected);
    };
    answered(
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "error: ws://127.0.0.1:PORT/chat: the handshake was answered 200: an ordinary page; is the path right?",
    );
    answered(
        "HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n",
        "error: ws://127.0.0.1:PORT/chat: the handshake was answered 302: a redirect, which is not followed; scan the address it names",
    );
    answered(
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        "error: ws://127.0.0.1:PORT/chat: the handshake was answered 404: there is nothing at this path",
    );
    answered(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        "error: ws://127.0.0.1:PORT/chat: the handshake was answered 503: the server failed",
    );
    answered(
        "220 mail.example ESMTP\r\n",
        "error: ws://127.0.0.1:PORT/chat: the handshake got no HTTP answer; is it the right port, with TLS or without?",
    );
    answered(
        "",
        "error: ws://127.0.0.1:PORT/chat: the handshake got no HTTP answer; is it the right port, with TLS or without?",
    );
    let plain = answering("HTTP/1.1 400 Bad Request\r\n\r\n");
    check(
        format!("scan wss://{plain}/"),
        plain,
        "error: wss://127.0.0.1:PORT/: TLS with 127.0.0.1:PORT failed: the server does not speak TLS there",
    );
    let dev = DevCertificate::generate().unwrap();
    let tls = tls_server(&dev.certificate, &dev.key);
    check(
        format!("scan ws://{tls}/"),
        tls,
        "error: ws://127.0.0.1:PORT/: the handshake got no HTTP answer; is it the right port, with TLS or without?",
    );
    check(
        format!("scan wss://{tls}/"),
        tls,
        "error: wss://127.0.0.1:PORT/: TLS with 127.0.0.1:PORT failed: the certificate's issuer is not trusted",
    );
}

#[test]
fn a_certificate_that_is_not_trusted_is_named_for_what_is_wrong_with_it() {
    let mut bench = Bench::new();
    for (name, first, last, expected) in [
        (
            "other.example",
            2000,
            2200,
            "error: wss://127.0.0.1:PORT/: TLS with 127.0.0.1:PORT failed: the certificate is for another name",
        ),
        (
            "127.0.0.1",
            2000,
            2001,
            "error: wss://127.0.0.1:PORT/: TLS with 127.0.0.1:PORT failed: the certificate has expired",
        ),
        (
            "127.0.0.1",
            2200,
            2201,
            "error: wss://127.0.0.1:PORT/: TLS with 127.0.0.1:PORT failed: the certificate is not valid yet",
        ),
    ] {
        let (chain, key) = certificate(name, first, last);
        let address = tls_server(&chain, &key);
        bench.file("ca.pem", &chain);
        let expected = expected.replace("PORT", &address.port().to_string());
        bench.check(&format!("scan wss://{address}/ --ca ca.pem"), 3, &expected);
    }
}

#[test]
fn a_gateway_that_cannot_run_is_1() {
    let mut bench = Bench::new();
    let (chain, key) = certificate("127.0.0.1", 2000, 2200);
    let (_, stranger) = certificate("127.0.0.1", 2000, 2200);
    for (name, text) in [("cert.pem", &chain), ("key.pem", &key), ("other.pem", &stranger)] {
        bench.file(name, text);
    }
    bench.file("text.pem", "no certificate, no key\n");
    bench.file("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut check = |flags: &str, expected: &str| {
        let flags = flags.replace("PORT", &port.to_string());
        let expected = expected.replace("PORT", &port.to_string());
        let rest = if flags.contains("--upstream ") { "" } else { "--upstream ws://127.0.0.1:9" };
        let auth = if flags.contains("--auth ") { "" } else { "--auth none" };
        bench.check(&format!("guard {auth} {rest} {flags}"), 1, &expected);
    };
    check(
        "--listen 127.0.0.1:PORT",
        "error: cannot listen on 127.0.0.1:PORT: Address already in use (os error 98)",
    );
    check(
        "--listen 203.0.113.1:0 --insecure-plaintext",
        "error: cannot listen on 203.0.113.1:0: Cannot assign requested address (os error 99)",
    );
    check(
        "--listen 0.0.0.0:0",
        "error: --listen: beyond this machine a listener needs a certificate (add --tls-cert and --tls-key; --insecure-plaintext goes without)",
    );
    check(
        "--listen 0.0.0.0:0 --tls-dev",
        "error: --tls-dev: a development certificate is for loopback addresses only",
    );
    check(
        "--listen 127.0.0.1:0 --upstream ws://192.0.2.1:9",
        "error: --upstream: a ws:// application beyond this machine can be read and changed on the path (use wss://, or say --cleartext-upstream)",
    );
    check(
        "--listen 127.0.0.1:0 --events absent/events.jsonl",
        "error: the event log `absent/events.jsonl` cannot be opened: No such file or directory (os error 2)",
    );
    check(
        "--listen 127.0.0.1:0 --events .",
        "error: the event log `.` cannot be opened: Is a directory (os error 21)",
    );
    check(
        "--listen 127.0.0.1:0 --upstream-ca absent.pem",
        "error: --upstream-ca: `absent.pem` cannot be read: No such file or directory (os error 2)",
    );
    check(
        "--listen 127.0.0.1:0 --upstream-ca text.pem",
        "error: --upstream-ca: `text.pem`: there is no certificate in PEM in it",
    );
    check(
        "--listen 127.0.0.1:0 --tls-cert absent.pem --tls-key key.pem",
        "error: --tls-cert: `absent.pem` cannot be read: No such file or directory (os error 2)",
    );
    check(
        "--listen 127.0.0.1:0 --tls-cert cert.pem --tls-key .",
        "error: --tls-key: `.` cannot be read: Is a directory (os error 21)",
    );
    check(
        "--listen 127.0.0.1:0 --tls-cert text.pem --tls-key key.pem",
        "error: --tls-cert: `text.pem` cannot be used: there is no certificate in PEM in it",
    );
    check(
        "--listen 127.0.0.1:0 --tls-cert broken.pem --tls-key key.pem",
        "error: --tls-cert: `broken.pem` cannot be used: the certificate is malformed",
    );
    check(
        "--listen 127.0.0.1:0 --tls-cert cert.pem --tls-key text.pem",
        "error: --tls-key: `text.pem` cannot be used: there is no private key in PEM in it",
    );
    check(
        "--listen 127.0.0.1:0 --tls-cert cert.pem --tls-key other.pem",
        "error: --tls-key: `other.pem` cannot be used: the key is not that of the certificate",
    );
    check(
        "--listen 127.0.0.1:0 --auth forward:http://192.0.2.1/session",
        "error: --auth: sessions would be sent in the clear beyond this machine (use https://, or say --cleartext-upstream)",
    );
}

#[test]
fn a_lab_that_cannot_run_is_1() {
    let mut bench = Bench::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let expected = "error: failed to listen on 127.0.0.1:PORT: Address already in use (os error 98)"
        .replace("PORT", &port.to_string());
    bench.check(&format!("lab --listen 127.0.0.1:{port} --listen-tls 127.0.0.1:0"), 1, &expected);
    bench.check("lab --listen 0.0.0.0:0 --listen-tls 127.0.0.1:0", 1, "error: failed to listen on 0.0.0.0:0: the lab is vulnerable on purpose and listens on loopback addresses only");
}

#[test]
fn a_file_that_cannot_be_read_is_1() {
    let mut bench = Bench::new();
    fs::write(bench.path().join("binary.toml"), [0xff, 0xfe, 0]).unwrap();
    bench.file("events.jsonl", "not an event\n");
    let mut check = |arguments: &str, expected: &str| bench.check(arguments, 1, expected);
    check("check", "error: `sockwarden.toml` cannot be read: No such file or directory (os error 2)");
    check(
        "check -c absent.toml",
        "error: `absent.toml` cannot be read: No such file or directory (os error 2)",
    );
    check("check -c .", "error: `.` cannot be read: Is a directory (os error 21)");
    check("check -c binary.toml", "error: `binary.toml` is no text in UTF-8");
    check(
        "guard -c absent.toml",
        "error: `absent.toml` cannot be read: No such file or directory (os error 2)",
    );
    check(
        "why 0123456789 --log absent.jsonl",
        "error: the event log `absent.jsonl` cannot be opened: No such file or directory (os error 2)",
    );
    check("why 0123456789 --log .", "error: the event log `.` cannot be read: Is a directory (os error 21)");
    check("why 0123456789 --log events.jsonl", "error: `events.jsonl` holds no event 0123456789");
}

/// A server that answers every connection with `answer` and ends it.
fn answering(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for tcp in listener.incoming() {
            let mut tcp = tcp.unwrap();
            let _ = tcp.read(&mut [0; 4096]);
            let _ = tcp.write_all(answer.as_bytes());
        }
    });
    address
}

/// A server that finishes TLS handshakes and answers nothing.
fn tls_server(chain: &str, key: &str) -> SocketAddr {
    let acceptor = ServerTls::from_pem(chain.as_bytes(), key.as_bytes()).unwrap().acceptor();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((tcp, _)) = listener.accept().await {
                // One after the other: who is refused comes back to nobody.
                let _ = acceptor.accept(tcp).await;
            }
        });
    });
    address
}
