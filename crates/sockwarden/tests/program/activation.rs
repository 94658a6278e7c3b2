//! `guard` on sockets that whoever starts it has opened (systemd's socket activation).
#![cfg(target_os = "linux")]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::AsRawFd as _,
    path::Path,
    time::Duration,
};

use crate::run::{Guard, finished, program, soon};

#[test]
fn inherited_sockets_serve_who_came_before_the_start_and_outlive_a_reload() {
    let folder = tempfile::tempdir().unwrap();
    let sockets = [socket(), socket()];
    let [web, admin] = [&sockets[0], &sockets[1]].map(|socket| socket.local_addr().unwrap());
    // It waits in the queue of the socket until somebody accepts it.
    let mut early = TcpStream::connect(web).unwrap();
    early.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let token = finished(program(folder.path()).args(["config", "--new-token", "token"]).spawn().unwrap());
    assert!(token.status.success());
    configure(folder.path(), "fd:3", "/");
    let guard = Guard::start_after(folder.path(), &hand_over(&sockets, "web:admin", "$$"), &["-c", "a.toml"]);
    assert_eq!(guard.address, web);
    assert!(answer(early).starts_with("HTTP/1.1 426 "));
    assert!(ask(admin, "/livez").starts_with("HTTP/1.1 200 "));
    configure(folder.path(), "fd:3", "/other");
    guard.signal("HUP");
    assert!(
        soon(|| guard.said().contains("0 unchanged, 1 changed").then_some(())).is_some(),
        "{}",
        guard.said()
    );
    assert!(ask(web, "/").starts_with("HTTP/1.1 426 "));
    // The same socket by its name is another listener; its socket stays open all the same.
    configure(folder.path(), "fd:web", "/other");
    guard.signal("HUP");
    assert!(
        soon(|| guard.said().contains("1 unchanged, 0 changed").then_some(())).is_some(),
        "{}",
        guard.said()
    );
    assert!(ask(web, "/").starts_with("HTTP/1.1 426 "));
    assert_eq!(guard.stop().code, Some(0));
}

#[test]
fn a_socket_that_was_not_handed_over_to_this_process_is_named() {
    let folder = tempfile::tempdir().unwrap();
    configure(folder.path(), "fd:web", "/");
    let text = fs::read_to_string(folder.path().join("a.toml")).unwrap();
    fs::write(folder.path().join("a.toml"), text.split("[admin]").next().unwrap()).unwrap();
    let sockets = [socket()];
    for (names, process, known) in [("other", "$$", "fd:3 (other)"), ("web", "1", "none")] {
        let first = hand_over(&sockets, names, process);
        let mut shell = Guard::shell(folder.path(), &first, &["-c", "a.toml"]);
        let output = finished(shell.spawn().unwrap());
        let said = String::from_utf8(output.stderr).unwrap();
        let expected =
            format!("cannot listen on fd:web: no such TCP socket was handed over; handed over: {known}");
        assert!(said.contains(&expected), "{said}");
        assert_eq!(output.status.code(), Some(1));
    }
}

/// A socket that a child inherits.
fn socket() -> TcpListener {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::empty()).unwrap();
    socket
}

/// What a service manager does: the sockets are the descriptors from 3 on, and variables tell of them.
fn hand_over(sockets: &[TcpListener], names: &str, process: &str) -> String {
    // By numbers that none of them has yet: a move must not overwrite the next one.
    let numbers = |from: usize| from..from + sockets.len();
    let away: String = sockets
        .iter()
        .zip(numbers(200))
        .map(|(socket, to)| format!("exec {to}<&{}\n", socket.as_raw_fd()))
        .collect();
    let back: String =
        numbers(3).zip(numbers(200)).map(|(to, from)| format!("exec {to}<&{from} {from}<&-\n")).collect();
    format!("{away}{back}export LISTEN_FDS={} LISTEN_FDNAMES={names} LISTEN_PID={process}", sockets.len())
}

fn configure(folder: &Path, address: &str, path: &str) {
    let text = format!(
        "version = 1\n[[listeners]]\naddress = \"{address}\"\n[[routes]]\nname = \"app\"\npath = \"{path}\"\n\
         upstream = \"ws://127.0.0.1:9\"\nauth = \"none\"\n[admin]\naddress = \"fd:admin\"\ntoken_file = \"token\"\n"
    );
    fs::write(folder.join("a.toml"), text).unwrap();
}

fn ask(address: SocketAddr, path: &str) -> String {
    let mut tcp = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    tcp.write_all(request.as_bytes()).unwrap();
    answer(tcp)
}

fn answer(mut tcp: TcpStream) -> String {
    tcp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).unwrap();
    answer
}
