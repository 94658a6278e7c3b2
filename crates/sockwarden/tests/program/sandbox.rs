//! `guard` in its sandbox: what it has given up, and that nothing that it does later needs it.
#![cfg(target_os = "linux")]

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::symlink,
    path::Path,
    thread,
    time::Duration,
};

use tungstenite::Message;

use crate::run::{Guard, finished, program, soon};

#[test]
fn every_thread_has_given_up_what_a_gateway_does_not_need() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.toml", &config("127.0.0.1:9".parse().unwrap(), "", ""));
    let guard = Guard::start(folder.path(), &["-c", "a.toml"]);
    let said = soon(|| guard.said().lines().find(|line| line.starts_with("confined")).map(str::to_owned));
    assert_eq!(
        said.unwrap(),
        "confined: no new privileges, no capabilities, files (Landlock), system calls (seccomp)"
    );
    let tasks: Vec<_> = fs::read_dir(format!("/proc/{}/task", guard.id())).unwrap().collect();
    assert!(tasks.len() > 1, "{tasks:?}");
    for task in tasks {
        let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        let value = |name: &str| {
            let line = status.lines().find(|line| line.split(':').next() == Some(name));
            line.unwrap_or_else(|| panic!("no {name} in {status}")).split_whitespace().nth(1).unwrap()
        };
        assert_eq!((value("NoNewPrivs"), value("Seccomp")), ("1", "2"), "{status}");
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(value(set), "0000000000000000", "{set}");
        }
        // Who has no right to narrow it cannot use it either.
        if fs::read_to_string("/proc/self/status").unwrap().contains("\nUid:\t0\t") {
            assert_eq!(value("CapBnd"), "0000000000000000");
        }
    }
    assert_eq!(guard.stop().code, Some(0));
}

#[test]
fn certificates_logs_routes_and_names_change_inside_the_sandbox() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    // As Kubernetes mounts secrets: a link to a link to a folder, and the one in the middle is replaced.
    for version in ["..v1", "..v2"] {
        fs::create_dir_all(path("tls").join(version)).unwrap();
        new_certificate(&path("tls").join(version));
    }
    symlink("..v1", path("tls/..data")).unwrap();
    for name in ["certificate.pem", "key.pem"] {
        symlink(format!("..data/{name}"), path("tls").join(name)).unwrap();
    }
    let tls = "certificate = \"tls/certificate.pem\"\nkey = \"tls/key.pem\"\n";
    let rest = "[limits]\ncertificate_poll = \"50ms\"\n[events]\nto = \"file\"\nfile = \"log/events.jsonl\"\n\
        [isolation]\nsandbox = \"required\"\n";
    fs::create_dir(path("log")).unwrap();
    let first = application("first");
    write(folder.path(), "a.toml", &config(first, tls, rest));
    let guard = Guard::start(folder.path(), &["-c", "a.toml"]);
    let events = || fs::read_to_string(path("log/events.jsonl")).unwrap_or_default();
    // The application's name is looked up in there.
    assert_eq!(hello(guard.address), "first");

    symlink("..v2", path("tls/..new")).unwrap();
    fs::rename(path("tls/..new"), path("tls/..data")).unwrap();
    let replaced = soon(|| events().contains("certificate-replaced").then_some(()));
    assert!(replaced.is_some(), "{}\n{}", events(), guard.said());

    fs::rename(path("log/events.jsonl"), path("log/old")).unwrap();
    guard.signal("USR1");
    assert!(soon(|| path("log/events.jsonl").exists().then_some(())).is_some(), "{}", guard.said());

    // A file beside one that was named at the start, then one elsewhere.
    let authority = |file: &Path| {
        fs::copy(path("tls/certificate.pem"), file).unwrap();
        format!("upstream_ca = {file:?}\n")
    };
    let second = application("second");
    let with = |key: &str| config(second, tls, rest).replace("auth =", &format!("{key}auth ="));
    write(folder.path(), "a.toml", &with(&authority(&path("tls/authority.pem"))));
    guard.signal("HUP");
    assert!(
        soon(|| guard.said().contains("0 unchanged, 1 changed").then_some(())).is_some(),
        "{}",
        guard.said()
    );
    assert_eq!(hello(guard.address), "second");
    let elsewhere = tempfile::tempdir().unwrap();
    write(folder.path(), "a.toml", &with(&authority(&elsewhere.path().join("authority.pem"))));
    guard.signal("HUP");
    let refused = soon(|| guard.said().contains("the configuration in force stays").then_some(()));
    assert!(refused.is_some());
    let said = guard.said();
    assert!(said.contains("lies outside of the folders that the sandbox was given at the start"), "{said}");
    assert!(said.contains("a restart takes it") && said.contains("a.toml:10:"), "{said}");
    assert_eq!(hello(guard.address), "second");
    assert_eq!(guard.stop().code, Some(0));
}

#[test]
fn a_sandbox_can_be_left_out_and_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let off = "[isolation]\nsandbox = \"off\"\n";
    write(folder.path(), "a.toml", &config("127.0.0.1:9".parse().unwrap(), "", off));
    let guard = Guard::start(folder.path(), &["-c", "a.toml"]);
    assert!(soon(|| guard.said().contains("warning: `isolation.sandbox` is off").then_some(())).is_some());
    let status = fs::read_to_string(format!("/proc/{}/status", guard.id())).unwrap();
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let line = |status: &str, name: &str| status.lines().find(|l| l.starts_with(name)).unwrap().to_owned();
    for name in ["Seccomp:", "CapEff:", "NoNewPrivs:"] {
        assert_eq!(line(&status, name), line(&own, name));
    }
    // It cannot be had later, when there are threads.
    write(folder.path(), "a.toml", &config("127.0.0.1:9".parse().unwrap(), "", ""));
    guard.signal("HUP");
    let refused = "`isolation` cannot be changed without a restart";
    assert!(soon(|| guard.said().contains(refused).then_some(())).is_some());
    assert_eq!(guard.stop().code, Some(0));
    let output = finished(program(folder.path()).args(["check", "-c", "a.toml"]).spawn().unwrap());
    assert_eq!(output.status.code(), Some(0));
}

fn write(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join(name), text).unwrap();
}

/// A configuration with one route to an application on this machine, by its name.
fn config(application: SocketAddr, listener: &str, rest: &str) -> String {
    format!(
        "version = 1\n[[listeners]]\naddress = \"127.0.0.1:0\"\n{listener}[[routes]]\nname = \"app\"\n\
         upstream = \"ws://localhost:{}\"\nauth = \"none\"\ntls_required.mode = \"off\"\n{rest}",
        application.port()
    )
}

fn new_certificate(folder: &Path) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    fs::write(folder.join("certificate.pem"), made.cert.pem()).unwrap();
    fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
}

/// An application that greets everybody with its name.
fn application(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for tcp in listener.incoming() {
            thread::spawn(move || {
                let mut socket = tungstenite::accept(tcp.unwrap()).unwrap();
                socket.send(Message::text(name)).unwrap();
                while socket.read().is_ok() {}
            });
        }
    });
    address
}

/// Gives what the application says first.
fn hello(address: SocketAddr) -> String {
    let tcp = TcpStream::connect(address).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let (mut client, _) = tungstenite::client(format!("ws://{address}/"), tcp).unwrap();
    client.read().unwrap().into_text().unwrap().to_string()
}
