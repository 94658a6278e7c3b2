//! Path traversal and file inclusion: ways up, files that nobody asks for by accident, and wrappers that read files.

mod units;

use sockwarden_inspect::Marks;

use super::{Desk, Detector, Side, Text, declare};
use crate::{findings::Findings, setting::Field, starts::Start, table::tables, words};
use units::Unit;

declare! {
    CLIMB = "path-traversal", Path, 1,
        "A path leads up, out of the folder that it is meant for.",
        ["CWE-22", "https://owasp.org/www-community/attacks/Path_Traversal"];
    FILE = "path-file", Path, 1,
        "A value is the path of a file of the system, of a server's configuration or of its logs.",
        ["CWE-98", "CWE-552"];
    WRAPPER = "path-wrapper", Path, 1,
        "A value is an address by which a language reads files or runs code (`php://`, `file://`, `expect://`).",
        ["CWE-98", "https://www.php.net/manual/en/wrappers.php"];
    NUL = "path-nul", Path, 1,
        "A path is cut off by a NUL, so that what checks its end is deceived.",
        ["CWE-158"];
}

pub(super) static DETECTOR: Detector = Detector {
    rules: RULES,
    side: Side::Client,
    starts: &[
        Start {
            marks: &[Marks::SLASH.and(Marks::BACKSLASH).and(Marks::PERCENT)],
            literals: &[
                "../", "..\\", "..;/", "%2e", "%c0", "%c1", "%e0%80", "%f0%80", "%f8%80", "%fc%80", "%u",
                "%25", "..%", ".%", "%bg", ".%00", "%00", "%5c", "%2f",
            ],
        },
        Start {
            marks: &[Marks::SLASH.and(Marks::BACKSLASH)],
            literals: &[
                "etc/",
                "proc/",
                "var/",
                "root/",
                "windows",
                "winnt",
                "boot.ini",
                "win.ini",
                "web-inf",
                "meta-inf",
                "web.config",
                ".ht",
                "wp-config",
                ".ssh",
                ".env",
                ".git",
                ".aws",
                ".bash",
                "php.ini",
                "my.cnf",
                "my.ini",
                "httpd",
                "apache",
                "nginx",
                "xampp",
                "access.log",
                "access_log",
                "error.log",
                "error_log",
                "logs/",
                "logs\\",
                "etc\\",
                "passwd",
                "shadow",
                "inetpub",
                "config.php",
                "usr/local/",
                "passwords",
                "config.",
                "program files",
                "/adm/",
                "%etc",
                "mysql",
                "apache2",
                "lib/php",
                "system32",
                "volumes/",
                "opt/",
            ],
        },
        Start {
            marks: &[Marks::COLON],
            literals: &[
                "php:",
                "file:",
                "expect:",
                "zip:",
                "phar:",
                "glob:",
                "ogg:",
                "rar:",
                "data://",
                "ssh2",
                "jar:",
                "netdoc:",
                "compress.",
                "zlib:",
                "input:",
                "filter:",
            ],
        },
        Start {
            marks: &[Marks::DOT, Marks::DIGIT.and(Marks::CONTROL)],
            literals: &["..2f", "..5c", "0x2e", "..\0", ".\0"],
        },
        Start { marks: &[Marks::CONTROL], literals: &["\0"] },
        Start { marks: &[Marks::DIGIT], literals: &["0x2e0x2e"] },
    ],
    run,
};

/// Where values begin that are paths of the system.
const ROOTS: &[&str] = &[
    "/etc/",
    "/proc/",
    "/var/log/",
    "/root/",
    "/windows/",
    "/winnt/",
    "/var/www/logs/",
    "/usr/local/apache",
    "/usr/local/php",
    "/usr/local/etc/",
    "/opt/lampp/",
    "/opt/xampp/",
    "/xampp/",
    "/apache",
    "/usr/local/cpanel",
    "/usr/pkg/etc",
    "/private/etc/",
    "/volumes/",
];

tables! {
    /// Schemes that read files or run code, and how much they say where a value begins with them.
    WRAPPERS = [
    ("php://", 7),
    ("expect://", 7),
    ("phar://", 7),
    ("zip://", 6),
    ("rar://", 6),
    ("ogg://", 6),
    ("glob://", 6),
    ("data://", 6),
    ("ssh2.", 6),
    ("compress.", 6),
    ("zlib:", 5),
    ("jar:", 6),
    ("netdoc:", 6),
    ("file://", 5),
    ("file:/", 5),
    ("php:", 4),
    ("data:text/plain,<?", 7),
];

    /// Parts of paths that nobody asks for by accident, with slashes and in small letters.
    TARGETS = [("/.aws/", 1), ("/.bash_history", 1), ("/.bashrc", 1), ("/.env", 1), ("/.git/", 1), ("/.htaccess", 1), ("/.htpasswd", 1), ("/.mysql_history", 1), ("/.ssh/", 1), ("/access.log", 1), ("/access_log", 1), ("/authorized_keys", 1), ("/autoexec.bat", 1), ("/boot.ini", 1), ("/config.inc.php", 1), ("/error.log", 1), ("/error_log", 1), ("/global.asa", 1), ("/httpd.conf", 1), ("/id_rsa", 1), ("/inetpub/", 1), ("meta-inf/", 1), ("/my.cnf", 1), ("/my.ini", 1), ("/mysql.log", 1), ("/passwd", 1), ("/php.ini", 1), ("/php5.ini", 1), ("/proc/self", 1), ("/proc/version", 1), ("/proc/cpuinfo", 1), ("/repair/sam", 1), ("/shadow", 1), ("/system32/", 1), ("web-inf/", 1), ("/web.config", 1), ("/win.ini", 1), ("/winnt/", 1), ("/wp-config.php", 1), ("/etc/group", 1), ("/etc/hosts", 1), ("/etc/issue", 1), ("/etc/motd", 1), ("/etc/mysql", 1), ("/etc/apache", 1), ("/etc/httpd", 1), ("/etc/nginx", 1), ("/etc/crontab", 1), ("/etc/sudoers", 1), ("/etc/fstab", 1), ("/etc/security", 1), ("/etc/master.passwd", 1), ("/var/log/", 1), ("/var/mail/", 1), ("/var/spool/", 1), ("/windows/", 1), ("/system.ini", 1), ("/ftpd.log", 1), ("/proftpd", 1), ("/pureftpd", 1), ("/pure-ftpd", 1), ("/vsftpd", 1), ("/mysql-bin", 1), ("/apache.conf", 1), ("/apache2.conf", 1), ("/httpd-", 1), ("/access.1", 1), ("/config.asp", 1), ("/config.php", 1), ("/localsettings.php", 1), ("/settings.php", 1), ("/database.yml", 1), ("/secrets.yml", 1), ("/tomcat-users.xml", 1), ("/logs/", 1), ("/log/", 1), ("/httpd/", 1), ("/sysvol", 1), ("/ntds.dit", 1), ("/unattend.xml", 1), ("/sam", 1), ("/security.config", 1), ("/known_hosts", 1), ("/.svn/", 1), ("/.ds_store", 1), ("/proc/", 1), ("/dev/fd/", 1), ("/cgi-bin/", 1), ("/etc/php", 1), ("/var/adm/", 1), ("/var/run/", 1)];
}

fn run(text: &Text<'_>, desk: &mut Desk) {
    let mut plain = std::mem::take(&mut desk.plain);
    let climb = climb(text.bytes, &mut plain);
    let target = TARGETS.is_in(&plain);
    judge_climb(text, &climb, target, &mut desk.findings);
    judge_file(text, &plain, target, climb.disguised, &mut desk.findings);
    wrapper(text, &mut desk.findings);
    desk.plain = plain;
}

/// The ways up in a text.
#[derive(Debug, Default)]
struct Climb {
    steps: usize,
    /// Whether any of them is escaped.
    escaped: bool,
    start: usize,
    end: usize,
    nul: bool,
    /// Whether any dot or slash of the whole text is escaped, or something that may be taken for one.
    disguised: bool,
}

/// Counts the ways up, and writes the text with plain dots and slashes and in small letters.
fn climb(bytes: &[u8], plain: &mut Vec<u8>) -> Climb {
    plain.clear();
    let mut climb = Climb::default();
    let (mut at, mut dots, mut escapes, mut first) = (0, 0_usize, 0_usize, 0);
    while let Some((unit, escaped, length)) = units::read(bytes, at) {
        let start = at;
        at += length;
        climb.disguised |= escaped && matches!(unit, Unit::Dot | Unit::Slash | Unit::Wild);
        let is_dot = unit == Unit::Dot || unit == Unit::Wild && dots < 2;
        let is_slash = unit == Unit::Slash || unit == Unit::Wild && dots >= 2;
        let spelt = dots >= 2
            && matches!(bytes.get(start..start + 2), Some(b"2f" | b"5c" | b"2F" | b"5C"))
            && matches!(bytes.get(start + 2), Some(b'.'));
        if is_dot {
            first = if dots == 0 { start } else { first };
            dots += 1;
            escapes += usize::from(escaped);
        } else if is_slash || spelt {
            if (2..=6).contains(&dots) {
                if climb.steps == 0 {
                    climb.start = first;
                }
                climb.steps += 1;
                climb.end = at;
                climb.escaped |= escapes > 0 || escaped || spelt;
            }
            (dots, escapes) = (0, 0);
            at += usize::from(spelt);
        } else if unit == Unit::Skip {
            climb.nul |= escaped && plain.len() > 1;
            escapes += usize::from(dots > 0);
        } else if dots >= 2 && bytes.get(start) == Some(&b';') && matches!(bytes.get(at), Some(b'/')) {
            // `..;/`: what stands behind the semicolon is a parameter to some servers, a part of the name to others.
            climb.escaped = true;
        } else {
            (dots, escapes) = (0, 0);
        }
        match unit {
            Unit::Dot => plain.push(b'.'),
            Unit::Slash | Unit::Wild => {
                if plain.last() != Some(&b'/') {
                    plain.push(b'/');
                }
            }
            Unit::Skip => {}
            Unit::Other(_) if spelt => plain.push(b'/'),
            Unit::Other(byte) => plain.push(byte.to_ascii_lowercase()),
        }
    }
    climb
}

fn judge_climb(text: &Text<'_>, climb: &Climb, target: bool, findings: &mut Findings) {
    if climb.steps == 0 {
        return;
    }
    let bytes = text.bytes;
    // A path that stands alone, or behind a name: `file=../../x`.
    let lone = !text.marks.any(Marks::SPACE | Marks::LINE);
    let before = climb.start.checked_sub(1).and_then(|before| bytes.get(before));
    let quoted = !lone && before.is_some_and(|byte| matches!(byte, b'"' | b'\'' | b'`' | b'('));
    let weight = match (climb.steps, climb.escaped, target) {
        (_, true, true) => 8,
        (2.., true, _) => 7,
        (1, true, _) if lone => 5,
        (1, true, _) => 3,
        (2.., false, true) => 8,
        (1, false, true) => {
            if lone {
                6
            } else {
                4
            }
        }
        (3.., false, false) if lone => 6,
        (3.., false, false) if quoted => 3,
        (3.., false, false) => 5,
        (2, false, false) if lone => {
            if text.field() == Field::File {
                6
            } else {
                5
            }
        }
        (_, false, false) => {
            if text.field() == Field::File && lone {
                4
            } else {
                1
            }
        }
        (0, ..) => 0,
    };
    // Sources and pages refer to one another like that.
    let refers = text.field() == Field::Code || (quoted && !target);
    let weight = if refers { weight.min(3) } else { weight };
    if weight > 0 {
        findings.add(&CLIMB, weight, climb.start..climb.end);
    }
    if climb.nul {
        findings.add(&NUL, 5, climb.start..climb.end);
    }
}

fn judge_file(text: &Text<'_>, plain: &[u8], target: bool, disguised: bool, findings: &mut Findings) {
    let whole = 0..text.bytes.len();
    let lone =
        !text.marks.any(Marks::SPACE | Marks::LINE) || text.value.kind() == sockwarden_inspect::Kind::Path;
    let begin = match plain {
        [b'"' | b'\'', rest @ ..] => rest,
        rest => rest,
    };
    let begin = match begin {
        [drive, b':', rest @ ..] if drive.is_ascii_alphabetic() => rest,
        rest => rest,
    };
    let rooted = begin.first() == Some(&b'/') && begin.get(1) != Some(&b'/');
    let known = ROOTS.iter().any(|root| begin.starts_with(root.as_bytes()));
    let nul = text.bytes.contains(&0) || words::holds(text.bytes, b"%00");
    if nul && lone && (rooted || target) {
        findings.add(&NUL, 5, whole.clone());
    }
    if !lone || text.sentence() {
        return;
    }
    let share = text.bytes.starts_with(b"\\\\")
        && !text.bytes.starts_with(b"\\\\\\")
        && text.bytes.iter().filter(|byte| **byte == b'\\').count() >= 4;
    let weight = match (rooted, known, target) {
        // An address may have an escaped slash in its query.
        (_, _, true) if disguised && !words::holds(text.bytes, b"://") => 6,
        (true, true, true) => 5,
        (true, true, false) => {
            if begin.starts_with(b"/proc/") || begin.starts_with(b"/etc/") {
                5
            } else {
                4
            }
        }
        (true, false, true) => 5,
        (false, _, true) if text.field() == Field::File => 5,
        (false, _, true)
            if begin.starts_with(b"etc/") || begin.starts_with(b"proc/") || begin.starts_with(b"web-inf") =>
        {
            5
        }
        (false, _, true) => 2,
        _ if share && text.field() == Field::File => 5,
        _ => 0,
    };
    if weight > 0 {
        findings.add(&FILE, weight, whole);
    }
}

fn wrapper(text: &Text<'_>, findings: &mut Findings) {
    let bytes = text.bytes;
    WRAPPERS.first(bytes, |number, at| {
        let Some((scheme, weight)) = WRAPPERS.words.get(number) else { return };
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        let begins = before.is_none_or(|byte| matches!(byte, b'"' | b'\'' | b'='));
        let weight = if begins && !text.sentence() { *weight } else { weight.saturating_sub(3) };
        findings.add(&WRAPPER, weight, at..at + scheme.len());
    });
}

#[cfg(test)]
mod tests {
    use crate::{
        Category,
        testing::{finds, passes},
    };

    #[test]
    fn ways_out_of_a_folder_are_found() {
        finds(
            Category::Path,
            &[
                "../../../etc/passwd",
                "..\\..\\..\\windows\\win.ini",
                "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
                "%252e%252e%252fetc%252fpasswd",
                "..%c0%af..%c0%afetc/passwd",
                "%c0%ae%c0%ae/%c0%ae%c0%ae/x",
                "..%u2215..%u2215x",
                "0x2e0x2e0x2f0x2e0x2e0x2fetc",
                "....//....//etc/shadow",
                "/etc/passwd",
                "C:\\boot.ini",
                "/proc/self/environ",
                "php://filter/convert.base64-encode/resource=index.php",
                "file:///etc/hosts",
                "expect://id",
                "../../../../x%00.jpg",
                "..;/manager/html",
                "/..;/..;/admin",
                "WEB-INF/web.xml",
            ],
        );
    }

    #[test]
    fn paths_that_people_write_are_left_alone() {
        passes(&[
            "import x from '../../lib/x'",
            "cd ../.. and run make",
            "look into /etc/fstab for the mount options",
            "see [the guide](../../docs/guide.md)",
            "/usr/share/doc/readme.txt",
            "src/main.rs",
            "./configure && make",
            "C:\\Users\\me\\notes.txt",
            "https://example.com/a/../b",
            "wait... / what",
            "100% of 20%",
            "the log is in /var/log/syslog, can you look?",
            "/join #general",
            "../images/logo.png",
            "and/or",
        ]);
    }
}
