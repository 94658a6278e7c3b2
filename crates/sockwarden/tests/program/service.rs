//! `guard` as a service: what a service manager hears, and logs that are rotated under it.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::{fs::PermissionsExt as _, net::UnixDatagram},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::run::{Guard, soon};

const CONFIG: &str = "version = 1\n[[listeners]]\naddress = \"127.0.0.1:0\"\n[[routes]]\nname = \"app\"\n\
    upstream = \"ws://127.0.0.1:9\"\nauth = \"none\"\n";

#[test]
fn a_service_manager_hears_of_the_start_of_a_reload_and_of_the_end() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.toml"), CONFIG).unwrap();
    let socket = folder.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let hear = || {
        let mut bytes = [0; 1000];
        let length = manager.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    };
    let next = || {
        let heard = std::iter::repeat_with(hear).take(1000).find(|heard| !heard.contains("WATCHDOG=1"));
        heard.unwrap()
    };
    let variables = [("NOTIFY_SOCKET", socket.to_str().unwrap()), ("WATCHDOG_USEC", "40000")];
    let guard = Guard::start_in(folder.path(), &["-c", "a.toml"], &variables);
    assert_eq!(next().trim(), "READY=1");
    let begun = Instant::now();
    let beats = std::iter::repeat_with(hear).take(10).filter(|heard| heard.trim() == "WATCHDOG=1").count();
    assert_eq!(beats, 10);
    assert!(begun.elapsed() > Duration::from_millis(100), "they come at half the watchdog's patience");
    guard.signal("HUP");
    let reloading = next();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(next().trim(), "READY=1");
    // A configuration that is refused leaves it as ready as it was.
    fs::write(folder.path().join("a.toml"), "version = 2").unwrap();
    guard.signal("HUP");
    assert!(next().starts_with("RELOADING=1\n"));
    assert_eq!(next().trim(), "READY=1");
    guard.signal("TERM");
    let stopping = next();
    assert!(stopping.starts_with("STOPPING=1\nEXTEND_TIMEOUT_USEC="), "{stopping}");
    assert_eq!(guard.stop().code, Some(0));
}

#[test]
fn a_log_that_is_renamed_goes_on_in_a_new_file_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (path, rotated) =
        (folder.path().join("events.jsonl"), |n: usize| folder.path().join(format!("old.{n}")));
    let app = format!("ws://{}", application());
    let arguments =
        ["--listen", "127.0.0.1:0", "--upstream", &app, "--auth", "none", "--events", "events.jsonl"];
    let guard = Guard::start(folder.path(), &arguments);
    let reopened = |guard: &Guard| guard.said().matches("reopened").count();
    let is_over = AtomicBool::new(false);
    let connections = thread::scope(|scope| {
        let visiting = scope.spawn(|| {
            let latest = Instant::now() + Duration::from_secs(20);
            let mut count = 0;
            while !is_over.load(Ordering::Relaxed) && Instant::now() < latest {
                visit(guard.address);
                count += 1;
            }
            count
        });
        for number in 0..5 {
            thread::sleep(Duration::from_millis(50));
            fs::rename(&path, rotated(number)).unwrap();
            guard.signal("USR1");
            assert!(soon(|| (reopened(&guard) > number).then_some(())).is_some(), "{}", guard.said());
        }
        is_over.store(true, Ordering::Relaxed);
        visiting.join().unwrap()
    });
    assert_eq!(guard.stop().code, Some(0));
    let mut counts = (0, 0);
    for file in (0..5).map(rotated).chain([path.clone()]) {
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        for line in fs::read_to_string(&file).unwrap().lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            match event["event"].as_str().unwrap() {
                "open" => counts.0 += 1,
                "close" => counts.1 += 1,
                other => panic!("{other}"),
            }
        }
    }
    assert!(connections > 5, "{connections}");
    assert_eq!(counts, (connections, connections));
}

#[test]
fn without_a_file_the_signal_to_reopen_it_does_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.toml"), CONFIG).unwrap();
    let guard = Guard::start(folder.path(), &["-c", "a.toml"]);
    guard.signal("USR1");
    assert!(soon(|| guard.said().contains("events go to no file").then_some(())).is_some());
    assert_eq!(guard.stop().code, Some(0));
}

#[test]
#[cfg(target_os = "linux")]
fn it_leaves_no_core_dump() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.toml"), CONFIG).unwrap();
    let guard = Guard::start(folder.path(), &["-c", "a.toml"]);
    let limits = fs::read_to_string(format!("/proc/{}/limits", guard.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    assert_eq!(guard.stop().code, Some(0));
}

#[test]
fn before_descriptors_run_out_new_connections_are_turned_away_and_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let app = format!("ws://{}", application());
    let arguments = ["--listen", "127.0.0.1:0", "--upstream", &app, "--auth", "none"];
    // The soft limit is raised to the hard one: 64, of which 16 are kept and two are for each connection.
    let guard = Guard::start_after(folder.path(), "ulimit -S -n 40; ulimit -H -n 64", &arguments);
    let room = "the descriptors of this process are enough for 24 connections";
    assert!(soon(|| guard.said().contains(room).then_some(())).is_some(), "{}", guard.said());
    let connect = || {
        let tcp = TcpStream::connect(guard.address).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        tungstenite::client(format!("ws://{}/", guard.address), tcp).ok().map(|(client, _)| client)
    };
    let mut clients: Vec<_> = (0..24).map(|_| connect().unwrap()).collect();
    for _ in 0..50 {
        assert!(connect().is_none());
    }
    // Who is there goes on, and whose place is free is given to another.
    let mut last = clients.pop().unwrap();
    last.close(None).unwrap();
    while last.read().is_ok() {}
    assert!(soon(connect).is_some());
    drop(clients);
    let ended = guard.stop();
    let notices: Vec<_> = ended.stdout.lines().filter(|line| line.contains("turning-away")).collect();
    assert!(notices.len() == 1 && notices[0].contains("descriptors: "), "{notices:?}");
}

/// An application that takes sockets and answers their close.
fn application() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for tcp in listener.incoming() {
            thread::spawn(move || {
                let mut socket = tungstenite::accept(tcp.unwrap()).unwrap();
                while socket.read().is_ok() {}
            });
        }
    });
    address
}

/// Opens a socket and closes it in order.
fn visit(address: SocketAddr) {
    let tcp = TcpStream::connect(address).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let (mut client, _) = tungstenite::client(format!("ws://{address}/"), tcp).unwrap();
    client.close(None).unwrap();
    while client.read().is_ok() {}
}
