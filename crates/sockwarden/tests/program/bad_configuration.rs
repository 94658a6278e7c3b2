//! Whatever is wrong with a configuration is shown where it is wrong; `check` and `guard` say the same.

use crate::bench::{Bench, certificate};

const LISTENER: &str = "address = \"127.0.0.1:0\"";
const ROUTE: &str = "upstream = \"ws://127.0.0.1:9\"\nauth = \"none\"";

#[test]
fn a_malformed_configuration_is_1_and_shown_where_it_is_wrong() {
    let mut bench = Bench::new();
    let mut check = |text: String, expected: &str| bench.check_config(&text, expected);
    check(
        String::new(),
        r#"
error: a.toml:1:1: missing key `version`
  help: The version of this format: 1.
error: a.toml:1:1: missing key `listeners`
  help: Where clients connect.
error: a.toml:1:1: missing key `routes`
  help: Where requests go and what guards them.
"#,
    );
    check(
        "version = \n".to_owned(),
        r#"
error: a.toml:1:11: string values must be quoted, expected literal string
  1 | version = 
    |           ^
"#,
    );
    check(
        "version = 1\nversion = 1\n".to_owned(),
        r#"
error: a.toml:2:1: duplicate key
  2 | version = 1
    | ^
"#,
    );
    check(
        format!("version = 2{}", &config(LISTENER, ROUTE, "")["version = 1".len()..]),
        r#"
error: a.toml:1:1: version 2 is not known
  1 | version = 2
    | ^
  help: this program reads version 1
"#,
    );
    check(
        config(LISTENER, ROUTE, "[limit]\n"),
        r#"
error: a.toml:8:2: unknown key `limit`
  8 | [limit]
    |  ^
  help: did you mean `limits`?
"#,
    );
    check(
        config(LISTENER, &format!("{ROUTE}\norigin_polcy = 1"), ""),
        r#"
error: a.toml:8:1: unknown key `origin_polcy` in `routes[0]`
  8 | origin_polcy = 1
    | ^
  help: did you mean `origin_policy`?
"#,
    );
    check(
        config(LISTENER, ROUTE, "[events]\nfrobnicate = 1"),
        r#"
error: a.toml:9:1: unknown key `frobnicate` in `events`
  9 | frobnicate = 1
    | ^
  help: known keys: `to`, `file`, `rotate_size`, `keep`, `queue`
"#,
    );
    check(
        config("adress = \"127.0.0.1:0\"", ROUTE, ""),
        r#"
error: a.toml:2:1: missing key `address` in `listeners[0]`
  2 | [[listeners]]
    | ^
  help: The address and port, such as `127.0.0.1:8443`; port 0 takes a free one. `fd:NAME` takes a socket that the service manager has opened.
error: a.toml:3:1: unknown key `adress` in `listeners[0]`
  3 | adress = "127.0.0.1:0"
    | ^
  help: did you mean `address`?
"#,
    );
    check(
        config(LISTENER, "upstream = \"ws://127.0.0.1:9\"", ""),
        r#"
error: a.toml:4:1: missing key `auth` in `routes[0]`
  4 | [[routes]]
    | ^
  help: How clients are authenticated: `none`, a way, or a list of ways that are tried in their order; it must be said.
"#,
    );
    check(
        config(LISTENER, "upstream = 9\nauth = true", ""),
        r#"
error: a.toml:6:12: `routes[0].upstream` is a whole number, expected a text in quotes
  6 | upstream = 9
    |            ^
error: a.toml:7:8: `routes[0].auth` is true, expected "none", "forward", "ticket", "jwt", "mtls" or a list
  7 | auth = true
    |        ^
"#,
    );
    check(
        config(LISTENER, "upstream = \"ws://127.0.0.1:9\"\nauth = \"nun\"", ""),
        r#"
error: a.toml:7:8: unknown value `nun` for `routes[0].auth`
  7 | auth = "nun"
    |        ^
  help: known values: "none", "forward", "ticket", "jwt", "mtls"
"#,
    );
    check(
        config(LISTENER, ROUTE, "[limits]\nmessage_memory = \"1 MB\"\nhandshake_timeout = \"10\""),
        r#"
error: a.toml:9:18: `limits.message_memory`: the unit `MB` is ambiguous: write `MiB` (1 KiB = 1024 B)
  9 | message_memory = "1 MB"
    |                  ^
error: a.toml:10:21: `limits.handshake_timeout`: a duration needs a unit, as in `10s` or `10ms`
  10 | handshake_timeout = "10"
     |                     ^
"#,
    );
    check(
        config(LISTENER, ROUTE, "[limits]\nconnections = -1\nclose_timeout = 5"),
        r#"
error: a.toml:9:15: `limits.connections` is -1, expected 1 to 1000000
  9 | connections = -1
    |               ^
error: a.toml:10:17: `limits.close_timeout` is a whole number, expected a duration such as "10s"
  10 | close_timeout = 5
     |                 ^
"#,
    );
    check(
        config(LISTENER, ROUTE, "[limits]\nconnections = 4294967296"),
        r#"
error: a.toml:9:15: `limits.connections` is 4294967296, expected 1 to 1000000
  9 | connections = 4294967296
    |               ^
"#,
    );
    check(
        config(LISTENER, ROUTE, "[events]\nqueue = 0"),
        r#"
error: a.toml:9:9: `events.queue` is 0, expected 1 to 1000000
  9 | queue = 0
    |         ^
"#,
    );
    check(
        config(LISTENER, ROUTE, "[events]\nqueue = 9223372036854775807"),
        r#"
error: a.toml:9:9: `events.queue` is 9223372036854775807, expected 1 to 1000000
  9 | queue = 9223372036854775807
    |         ^
"#,
    );
    check(
        config(LISTENER, ROUTE, "[events]\nto = \"file\""),
        r#"
error: a.toml:9:1: `events.to`: "file" needs `file`
  9 | to = "file"
    | ^
"#,
    );
    check(
        config(LISTENER, ROUTE, "[events]\nfile = \"events.jsonl\""),
        r#"
error: a.toml:9:1: `events.file`: a file is named, but `to` is not "file"
  9 | file = "events.jsonl"
    | ^
"#,
    );
    check(
        config(LISTENER, &format!("{ROUTE}\norigin_policy.allow = [\"app.example\"]"), ""),
        r#"
error: a.toml:8:23: `routes[0].origin_policy.allow`: an origin is a scheme, a host and perhaps a port, such as https://app.example:8443, and nothing after
  8 | origin_policy.allow = ["app.example"]
    |                       ^
"#,
    );
    check(
        config(LISTENER, &format!("{ROUTE}\nframe_limits = {{ mode = \"blok\" }}"), ""),
        r#"
error: a.toml:8:25: unknown value `blok` for `routes[0].frame_limits.mode`
  8 | frame_limits = { mode = "blok" }
    |                         ^
  help: did you mean "block"?
"#,
    );
}

#[test]
fn a_configuration_that_contradicts_itself_is_1_and_shown_where() {
    let mut bench = Bench::new();
    bench.file("cert.pem", &certificate("127.0.0.1", 2000, 2200).0);
    let mut check = |text: String, expected: &str| bench.check_config(&text, expected);
    check(
        "version = 1\nlisteners = []\nroutes = []\n".to_owned(),
        r#"
error: a.toml:2:1: `listeners`: there is no listener
  2 | listeners = []
    | ^
  help: add `[[listeners]]` with an `address`
error: a.toml:3:1: `routes`: there is no route
  3 | routes = []
    | ^
  help: add `[[routes]]` with a `name`, an `upstream` and `auth`
"#,
    );
    check(
        config("address = \"localhost\"", ROUTE, ""),
        r#"
error: a.toml:3:1: `listeners[0].address`: `localhost` is no address with a port, such as 127.0.0.1:8443 or [::]:8443, nor an inherited socket, such as fd:web
  3 | address = "localhost"
    | ^
"#,
    );
    check(
        config("address = \"0.0.0.0:0\"", ROUTE, ""),
        r#"
error: a.toml:3:1: `listeners[0].address`: beyond this machine a listener needs a certificate
  3 | address = "0.0.0.0:0"
    | ^
  help: add `certificate` and `key`; `insecure_plaintext = true` goes without
"#,
    );
    check(
        config(&format!("{LISTENER}\ncertificate = \"cert.pem\""), ROUTE, ""),
        r#"
error: a.toml:4:1: `listeners[0].certificate`: a certificate needs its key
  4 | certificate = "cert.pem"
    | ^
  help: add `key`
"#,
    );
    check(
        config(&format!("{LISTENER}\ncertificate = \"cert.pem\"\nkey = \"absent.pem\""), ROUTE, ""),
        r#"
error: a.toml:5:1: `listeners[0].key`: `absent.pem` cannot be read: No such file or directory (os error 2)
  5 | key = "absent.pem"
    | ^
"#,
    );
    check(
        config(&format!("{LISTENER}\ntls_dev = true\nkey = \"cert.pem\""), ROUTE, ""),
        r#"
error: a.toml:4:1: `listeners[0].tls_dev`: a certificate is given already
  4 | tls_dev = true
    | ^
  help: leave out one of them
"#,
    );
    check(
        config(LISTENER, "upstream = \"ws://192.0.2.1\"\nauth = \"none\"", ""),
        r#"
error: a.toml:6:1: `routes[0].upstream`: a ws:// application beyond this machine can be read and changed on the path
  6 | upstream = "ws://192.0.2.1"
    | ^
  help: use wss://, or say `cleartext_upstream = true`
"#,
    );
    check(
        config(LISTENER, "upstream = \"ws://127.0.0.1:9\"\nauth = \"forward\"", ""),
        r#"
error: a.toml:7:1: `routes[0].auth`: "forward" needs `forward_auth`
  7 | auth = "forward"
    | ^
  help: add `forward_auth = { url = … }`
"#,
    );
    check(
        config(LISTENER, &format!("{ROUTE}\nforward_auth.url = \"http://127.0.0.1/\""), ""),
        r#"
error: a.toml:8:1: `routes[0].forward_auth`: `auth` does not name "forward"
  8 | forward_auth.url = "http://127.0.0.1/"
    | ^
  help: say `auth = "forward"` or remove it
"#,
    );
    check(
        config(LISTENER, &format!("{ROUTE}\npath = \"chat\""), ""),
        r#"
error: a.toml:8:1: `routes[0].path`: a path begins with `/` and has no query
  8 | path = "chat"
    | ^
"#,
    );
    check(
        config(LISTENER, ROUTE, &format!("[[routes]]\nname = \"app\"\n{ROUTE}")),
        r#"
error: a.toml:9:1: `routes[1].name`: another route has the same name
  9 | name = "app"
    | ^
"#,
    );
    check(
        config("address = \"127.0.0.1:7443\"\n[[listeners]]\naddress = \"127.0.0.1:7443\"", ROUTE, ""),
        r#"
error: a.toml:5:1: `listeners[1].address`: another listener has the same address
  5 | address = "127.0.0.1:7443"
    | ^
  help: leave out one of them
"#,
    );
    check(
        config(LISTENER, ROUTE, "[limits]\nwrite_buffer = 0\nhandshake_timeout = \"0s\""),
        r#"
error: a.toml:9:1: `limits.write_buffer`: with 0 nothing would ever be read
  9 | write_buffer = 0
    | ^
error: a.toml:10:1: `limits.handshake_timeout`: in no time nobody could connect
  10 | handshake_timeout = "0s"
     | ^
"#,
    );
    check(
        config(LISTENER, &format!("{ROUTE}\nframe_limits.message = 0"), ""),
        r#"
error: a.toml:8:14: `routes[0].frame_limits.message`: with 0 no message could pass
  8 | frame_limits.message = 0
    |              ^
"#,
    );
}

/// A good configuration but for what `more` adds or `route` changes.
fn config(listener: &str, route: &str, more: &str) -> String {
    format!("version = 1\n[[listeners]]\n{listener}\n[[routes]]\nname = \"app\"\n{route}\n{more}")
}
