//! What a machine must have, and how it gets it.

use std::process::Command;
use std::time::Duration;

use crate::shell::{self, Group};

/// Something that the chores need from the machine.
struct Need {
    /// What it is for, to read after "needed for".
    purpose: &'static str,
    /// A command that succeeds when it is there.
    probe: &'static [&'static str],
    /// The Debian packages that bring it.
    packages: &'static [&'static str],
}

const NEEDS: &[Need] = &[
    Need {
        purpose: "compiling the C parts of TLS and SQLite",
        probe: &["cc", "--version"],
        packages: &["gcc", "libc6-dev"],
    },
    Need {
        purpose: "end-to-end tests against JavaScript peers",
        probe: &["node", "--version"],
        packages: &["nodejs", "npm"],
    },
    Need {
        purpose: "end-to-end tests against JavaScript peers",
        probe: &["npm", "--version"],
        packages: &["npm"],
    },
    Need {
        purpose: "end-to-end tests against Python peers",
        probe: &["python3", "-c", "import ensurepip, venv"],
        packages: &["python3", "python3-venv"],
    },
    Need {
        purpose: "end-to-end tests behind proxies",
        // Not on everybody's path.
        probe: &["/usr/sbin/nginx", "-v"],
        packages: &["nginx-light"],
    },
    Need {
        purpose: "end-to-end tests behind proxies",
        probe: &["/usr/sbin/haproxy", "-v"],
        packages: &["haproxy"],
    },
    Need {
        purpose: "end-to-end tests of MQTT",
        // Not on everybody's path.
        probe: &["sh", "-c", "test -x /usr/sbin/mosquitto"],
        packages: &["mosquitto"],
    },
    Need {
        purpose: "end-to-end tests in a browser",
        probe: &["chromium", "--version"],
        packages: &["chromium"],
    },
    Need {
        purpose: "tests of state that replicas share",
        probe: &["redis-server", "--version"],
        packages: &["redis-server"],
    },
    Need {
        purpose: "benchmarks on a core of their own",
        probe: &["taskset", "--version"],
        packages: &["util-linux"],
    },
    Need {
        purpose: "measuring detection beside libmodsecurity",
        probe: &["sh", "-c", "test -e /usr/include/modsecurity/modsecurity.h"],
        packages: &["libmodsecurity-dev"],
    },
    Need {
        purpose: "measuring and testing with the Core Rule Set",
        probe: &["sh", "-c", "test -d /usr/share/modsecurity-crs/rules"],
        packages: &["modsecurity-crs"],
    },
    Need { purpose: "counting instructions", probe: &["valgrind", "--version"], packages: &["valgrind"] },
    Need {
        purpose: "end-to-end tests with certificates that change",
        probe: &["openssl", "version"],
        packages: &["openssl"],
    },
];

/// How long a package manager may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// Installs what is missing when that is possible, else says what to install; never fails, for what is missing shows
/// itself where it is used.
pub(crate) fn provide() {
    let missing: Vec<&Need> = NEEDS.iter().filter(|need| !shell::succeeds(need.probe)).collect();
    if missing.is_empty() {
        return;
    }
    let packages = packages_of(&missing);
    if shell::succeeds(&["apt-get", "--version"]) && shell::succeeds(&["sh", "-c", "test $(id -u) = 0"]) {
        eprintln!("installing {}", packages.join(" "));
        apt_get(&["update", "-qq"]);
        let install = ["install", "-y", "-qq", "--no-install-recommends"];
        apt_get(&[&install[..], &packages[..]].concat());
    }
    for need in missing.iter().filter(|need| !shell::succeeds(need.probe)) {
        eprintln!(
            "missing: {} (Debian: {}), needed for {}",
            need.probe[0],
            need.packages.join(" "),
            need.purpose
        );
    }
}

fn packages_of(missing: &[&Need]) -> Vec<&'static str> {
    let mut packages: Vec<&str> = missing.iter().flat_map(|need| need.packages.iter().copied()).collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

fn apt_get(arguments: &[&str]) {
    let mut command = Command::new("apt-get");
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    match shell::stream(&mut command, Group::Ours, PATIENCE) {
        Ok(finished) if finished.end.is_success() => {}
        Ok(finished) => eprintln!("apt-get {}: {}", arguments.join(" "), finished.end),
        Err(error) => eprintln!("apt-get: {error:#}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_named_once() {
        let all: Vec<&Need> = NEEDS.iter().collect();
        let packages = "chromium gcc haproxy libc6-dev libmodsecurity-dev modsecurity-crs mosquitto nginx-light nodejs npm openssl python3 python3-venv redis-server util-linux valgrind";
        assert_eq!(packages_of(&all).join(" "), packages);
    }
}
