//! Names of commands, and how sure it is that a word which is one of them is meant as one.

use crate::words;

/// Commands whose names are no words of a language.
const PLAIN: &[&str] = &[
    "adduser",
    "apt-get",
    "arp",
    "awk",
    "base64",
    "bash",
    "bitsadmin",
    "busybox",
    "certutil",
    "chgrp",
    "chmod",
    "chown",
    "cmd",
    "crontab",
    "cscript",
    "csh",
    "curl",
    "dash",
    "dd",
    "df",
    "dmesg",
    "dnf",
    "egrep",
    "env",
    "fgrep",
    "fping",
    "gawk",
    "gcc",
    "gdb",
    "getent",
    "gpasswd",
    "grep",
    "gunzip",
    "gzip",
    "hostname",
    "icacls",
    "iconv",
    "id",
    "ifconfig",
    "ipconf",
    "ipconfig",
    "iptables",
    "irb",
    "ksh",
    "lftp",
    "ls",
    "lsb_release",
    "lsof",
    "lua",
    "lynx",
    "mkdir",
    "mkfifo",
    "mknod",
    "mshta",
    "mv",
    "mysql",
    "nc",
    "ncat",
    "netcat",
    "netsh",
    "netstat",
    "nltest",
    "nmap",
    "nohup",
    "nslookup",
    "openssl",
    "passwd",
    "perl",
    "php",
    "php5",
    "ping",
    "ping6",
    "pkill",
    "powershell",
    "printenv",
    "ps",
    "psql",
    "pwd",
    "pwsh",
    "python",
    "python2",
    "python3",
    "reg",
    "regsvr32",
    "rm",
    "rmdir",
    "rsync",
    "ruby",
    "rundll32",
    "schtasks",
    "scp",
    "sed",
    "setsid",
    "sftp",
    "sh",
    "socat",
    "ssh",
    "strace",
    "su",
    "sudo",
    "systemctl",
    "systeminfo",
    "taskkill",
    "tasklist",
    "tcpdump",
    "tcsh",
    "telnet",
    "tftp",
    "traceroute",
    "tracert",
    "uname",
    "uptime",
    "useradd",
    "usermod",
    "vssadmin",
    "wevtutil",
    "wget",
    "whoami",
    "whois",
    "wmic",
    "wscript",
    "xargs",
    "xxd",
    "yum",
    "zsh",
];

/// Commands whose names are words that people use.
const WORDLY: &[&str] = &[
    "at",
    "attrib",
    "cat",
    "chdir",
    "copy",
    "cp",
    "curl.exe",
    "date",
    "del",
    "dig",
    "dir",
    "echo",
    "erase",
    "eval",
    "exec",
    "export",
    "expr",
    "file",
    "find",
    "finger",
    "ftp",
    "groups",
    "head",
    "history",
    "host",
    "java",
    "kill",
    "last",
    "less",
    "ln",
    "locate",
    "mail",
    "make",
    "more",
    "mount",
    "move",
    "nano",
    "net",
    "net1",
    "netuse",
    "nl",
    "node",
    "od",
    "passthru",
    "paste",
    "pr",
    "print",
    "printf",
    "python.exe",
    "query",
    "quser",
    "read",
    "reboot",
    "rename",
    "rev",
    "route",
    "set",
    "shutdown",
    "sleep",
    "sort",
    "source",
    "split",
    "start",
    "strings",
    "system",
    "tac",
    "tail",
    "tar",
    "tee",
    "test",
    "timeout",
    "top",
    "touch",
    "tree",
    "type",
    "ul",
    "ver",
    "vi",
    "vim",
    "vol",
    "w",
    "watch",
    "wc",
    "where",
    "which",
    "who",
    "write",
    "yes",
    "zip",
];

/// How surely a word is a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Command {
    /// It may be a word.
    Wordly,
    /// It can be nothing else, or stands behind a path of commands.
    Plain,
}

/// Reads the command that begins at `at`, as a shell does: without quotes, backslashes and empty variables inside of it, behind
/// assignments and the path that it lies in. Gives how sure it is and where it ends.
pub(super) fn read(bytes: &[u8], at: usize) -> Option<(Command, usize)> {
    let mut small = [0_u8; 64];
    let mut length = 0;
    let mut at = at;
    let mut hidden = false;
    let end_of_word = |byte: u8| {
        byte <= b' '
            || matches!(byte, b';' | b'|' | b'&' | b'<' | b'>' | b'(' | b')' | b'`' | b'\'' | b'"' | b',')
    };
    while let Some(byte) = bytes.get(at).copied() {
        match byte {
            b'\'' | b'"' if bytes.get(at + 1) == Some(&byte) => {
                hidden = true;
                at += 2;
                continue;
            }
            // `c'a't`: only a quote with letters on both sides hides something.
            b'\'' | b'"'
                if length > 0
                    && bytes.get(at + 1).is_some_and(u8::is_ascii_alphanumeric)
                    && has_pair(bytes, at, byte) =>
            {
                hidden = true;
                at += 1;
                continue;
            }
            // A line break that is written out.
            b'\\'
                if matches!(bytes.get(at + 1), Some(b'n' | b'r'))
                    && !bytes.get(at + 2).is_some_and(u8::is_ascii_alphanumeric) =>
            {
                break;
            }
            b'\\'
                if bytes.get(at + 1).is_some_and(u8::is_ascii_alphabetic)
                    && !is_folder(small.get(..length).unwrap_or_default()) =>
            {
                hidden = true;
                at += 1;
                continue;
            }
            b'^' => {
                hidden = true;
                at += 1;
                continue;
            }
            b'$' if matches!(bytes.get(at + 1), Some(b'@' | b'*')) => {
                hidden = true;
                at += 2;
                continue;
            }
            byte if end_of_word(byte) || byte == b'$' => break,
            _ => {}
        }
        let Some(room) = small.get_mut(length) else { break };
        *room = byte.to_ascii_lowercase();
        length += 1;
        at += 1;
    }
    let word = small.get(..length)?;
    let name = word.rsplit(|byte| matches!(byte, b'/' | b'\\')).next().unwrap_or(word);
    let in_folder =
        name.len() < word.len() && is_folder(word.get(..word.len() - name.len()).unwrap_or_default());
    if name.len() < word.len() && !in_folder {
        return None;
    }
    // `/b?n/c?t`: a pattern in the folder of commands can only be meant to hide one.
    if in_folder && !name.is_empty() && name.iter().any(|byte| matches!(byte, b'?' | b'*' | b'[')) {
        return Some((Command::Plain, at));
    }
    let name = name.strip_suffix(b".exe").or(name.strip_suffix(b".bat")).unwrap_or(name);
    if words::is_one_of(PLAIN, name) {
        return Some((Command::Plain, at));
    }
    words::is_one_of(WORDLY, name)
        .then_some((if hidden && length > 1 || in_folder { Command::Plain } else { Command::Wordly }, at))
}

/// Tells whether a quote has its other half in the same word.
fn has_pair(bytes: &[u8], at: usize, quote: u8) -> bool {
    bytes
        .iter()
        .skip(at + 1)
        .take(12)
        .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == quote)
        .any(|byte| *byte == quote)
        || bytes.iter().skip(at.saturating_sub(12)).take(at.min(12)).any(|byte| *byte == quote)
}

fn is_folder(path: &[u8]) -> bool {
    path.ends_with(b"bin/")
        || path.ends_with(b"bin")
        || path.ends_with(b"system32\\")
        || path.starts_with(b"c:\\")
        || path == b"/"
        || path.ends_with(b"???/")
        || path.ends_with(b"/b?n/")
        || path.ends_with(b"busybox/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted() {
        assert!(words::is_sorted(PLAIN) && words::is_sorted(WORDLY));
    }

    #[test]
    fn commands_are_read_as_shells_read_them() {
        let check = |text: &str, expected: Option<Command>| {
            assert_eq!(read(text.as_bytes(), 0).map(|(command, _)| command), expected, "{text}");
        };
        check("id", Some(Command::Plain));
        check("/bin/cat x", Some(Command::Plain));
        check("cat x", Some(Command::Wordly));
        check("c''at x", Some(Command::Plain));
        check("w\\hoami", Some(Command::Plain));
        check("who$@ami", Some(Command::Plain));
        check("/???/c?t", Some(Command::Plain));
        check("ping.exe -n 3", Some(Command::Plain));
        check("identity", None);
        check("src/cat", None);
        check("", None);
    }
}
