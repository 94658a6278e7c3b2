//! Servers in memory: some with a flaw, some without.

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use crate::errand::{Reply, Which};

use sockwarden_proto::{
    CloseCode, Fact, Flow, FrameHeader, Limits, MessageKind, Opcode, Receiver, Role, Transmitter, apply_mask,
    deflate::{InflateLimits, Inflater},
    handshake::{
        HeadLimits, RequestHead, UpgradeRequest, find_end_of_head, http_response, switching_protocols,
    },
};

/// The cookie of the user that the servers know.
pub(crate) const MARA: &str = "session=mara-0123456789";

/// The cookie of another.
pub(crate) const JORIS: &str = "session=joris-0123456789";

/// What every ticket begins with.
const TICKET: &str = "0123456789abcdef-t";

/// A server, put together from what it does at each point.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) name: &'static str,
    /// Who is let in.
    pub(crate) gate: fn(&Request) -> Gate,
    /// Whether malformed handshakes are refused.
    pub(crate) strict_handshake: bool,
    /// Whether illegal frames end the connection.
    pub(crate) strict_frames: bool,
    /// Whether pings are answered.
    pub(crate) pongs: bool,
    /// The longest message.
    pub(crate) limit: u64,
    /// Added to the head of a 101.
    pub(crate) extra_header: &'static str,
    /// Whether the Accept value is right.
    pub(crate) right_accept: bool,
    /// What is said on opening, to a user, on the nth connection.
    pub(crate) greeting: fn(Option<&str>, u32) -> Vec<String>,
    /// What is answered to a text, for a user, on the nth connection.
    pub(crate) answer: fn(Option<&str>, u32, &str) -> Vec<String>,
    /// Whether the request to log out ends the session, and with which status it is answered.
    pub(crate) logs_out: bool,
    pub(crate) logout_status: u16,
    /// Whether open connections end with the session.
    pub(crate) ends_with_session: bool,
    /// Whether a ticket that was issued is taken; tickets are what opens then, and nothing else.
    pub(crate) takes: Option<fn(&Request) -> bool>,
    pub(crate) ticket_status: u16,
    /// How many messages it takes at once and how many later; without any, as many as there are.
    pub(crate) pace: Option<Pace>,
    /// How many connections may be open at a time, and whether one too many is refused or ends the oldest.
    pub(crate) most_open: u32,
    pub(crate) ends_oldest: bool,
    /// How long the client may take until its request is whole.
    pub(crate) opening_time: Duration,
    /// What it does with a client that says nothing.
    pub(crate) silence: Silence,
    /// How long a message may be that comes compressed; without any, nothing is.
    pub(crate) inflates: Option<u64>,
    /// The most fragments of a message.
    pub(crate) fragments: u32,
    /// The most pings in one read, and whether only the last of them is answered.
    pub(crate) pings: u32,
    pub(crate) last_pong_only: bool,
    pub(crate) connections: Cell<u32>,
    /// How many connections are open.
    pub(crate) open: Cell<u32>,
    /// How often each ticket that was issued has been presented.
    pub(crate) tickets: RefCell<Vec<u32>>,
    /// Whether the session is over.
    pub(crate) logged_out: Cell<bool>,
}

/// A bucket of messages.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) burst: u32,
    /// How long it takes until there is room for one more.
    pub(crate) every: Duration,
    pub(crate) over: Over,
}

/// What becomes of a message for which the bucket has no room.
#[derive(Clone, Copy)]
pub(crate) enum Over {
    Waits,
    Closes(CloseCode),
    Complains,
    IsDropped,
}

/// What a server does with a client that says nothing.
#[derive(Clone, Copy)]
pub(crate) enum Silence {
    IsBorne,
    Pings(Duration),
    Closes(Duration),
    /// Says something itself.
    Speaks(Duration),
}

/// What a gate looks at.
pub(crate) struct Request {
    pub(crate) origin: Option<String>,
    pub(crate) cookie: Option<String>,
    pub(crate) requested_with: Option<String>,
    pub(crate) bearer: Option<String>,
    /// The path and the query.
    pub(crate) target: String,
    /// Which connection it is, from 1 on.
    pub(crate) number: u32,
    /// How often the ticket has been presented, this time included; 0 where none that was issued is.
    pub(crate) ticket_uses: u32,
    /// Whether it comes from another address than usual.
    pub(crate) elsewhere: bool,
    /// Whether the sessions are over.
    pub(crate) logged_out: bool,
}

impl Request {
    /// Gives the user whose session the cookie is.
    pub(crate) fn user(&self) -> Option<&'static str> {
        match self.cookie.as_deref() {
            _ if self.logged_out => None,
            Some(MARA) => Some("mara"),
            Some(JORIS) => Some("joris"),
            Some(_) | None => None,
        }
    }
}

/// What a gate decides.
pub(crate) enum Gate {
    Admit(Option<&'static str>),
    Refuse(u16),
    CloseAtOnce(CloseCode),
}

pub(crate) enum Output {
    Bytes(Vec<u8>),
    End,
    /// What comes after a while.
    Later(Duration, Box<Output>),
}

/// Says back what it hears, to anybody.
pub(crate) fn echo() -> Server {
    Server {
        name: "echo",
        gate: |request| Gate::Admit(request.user()),
        strict_handshake: true,
        strict_frames: true,
        pongs: true,
        limit: 64 * 1024,
        extra_header: "",
        right_accept: true,
        greeting: |_, _| Vec::new(),
        answer: |_, _, text| vec![text.to_owned()],
        logs_out: true,
        logout_status: 204,
        ends_with_session: true,
        takes: None,
        ticket_status: 200,
        pace: None,
        most_open: u32::MAX,
        ends_oldest: false,
        opening_time: Duration::MAX,
        silence: Silence::IsBorne,
        inflates: None,
        fragments: u32::MAX,
        pings: u32::MAX,
        last_pong_only: false,
        connections: Cell::new(0),
        open: Cell::new(0),
        tickets: RefCell::new(Vec::new()),
        logged_out: Cell::new(false),
    }
}

/// Listens, and never says a word.
pub(crate) fn silent() -> Server {
    Server { name: "silent", answer: |_, _, _| Vec::new(), ..echo() }
}

/// Gives every visitor a name and says to all what one says.
pub(crate) fn chat() -> Server {
    Server {
        name: "chat",
        greeting: |_, n| vec![format!(r#"{{"type":"welcome","you":"guest{n}","online":{n}}}"#)],
        answer: |_, n, text| {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"");
            vec![format!(r#"{{"type":"chat","id":{n},"from":"guest{n}","text":"{text}"}}"#)]
        },
        ..echo()
    }
}

/// Tells every visitor who the last three were, for everybody to know.
pub(crate) fn guest_book() -> Server {
    Server {
        name: "guest book",
        greeting: |_, n| {
            let guests: Vec<_> = (n.saturating_sub(3)..n).map(|n| format!(r#""guest{n}""#)).collect();
            vec![format!(r#"{{"type":"welcome","history":[{}]}}"#, guests.join(","))]
        },
        ..chat()
    }
}

/// Gives users their account, and nobody else anything, whatever the Origin of a stranger.
pub(crate) fn correct() -> Server {
    Server {
        name: "correct",
        gate: |request| match (request.user(), request.origin.as_deref()) {
            (Some(user), None | Some("https://app.example")) => Gate::Admit(Some(user)),
            (Some(_), Some(_)) => Gate::Refuse(403),
            (None, _) => Gate::Refuse(401),
        },
        greeting: account_greeting,
        answer: account,
        ..echo()
    }
}

/// Gives its user's account to whoever comes with a ticket that it takes.
pub(crate) fn ticketed(takes: fn(&Request) -> bool) -> Server {
    Server { name: "ticketed", takes: Some(takes), ..correct() }
}

/// Answers every handshake with one status.
pub(crate) fn refusing(status: u16) -> Server {
    let gate: fn(&Request) -> Gate = match status {
        426 => |_| Gate::Refuse(426),
        _ => |_| Gate::Refuse(401),
    };
    Server { name: "refusing", gate, ..echo() }
}

pub(crate) fn account_greeting(user: Option<&str>, n: u32) -> Vec<String> {
    let user = user.unwrap_or("guest");
    vec![format!(r#"{{"type":"hello","user":"{user}","nonce":"{:x}"}}"#, n * 7919 + 1000)]
}

/// Answers `account` with the account of the one who asks.
pub(crate) fn account(user: Option<&str>, n: u32, text: &str) -> Vec<String> {
    match (user, text.contains("account")) {
        (Some(user), true) => vec![account_of(user, n)],
        (None, true) => vec![r#"{"type":"error","message":"please log in first"}"#.to_owned()],
        (_, false) => Vec::new(),
    }
}

pub(crate) fn account_of(user: &str, n: u32) -> String {
    let email = format!("{user}@harbor.example");
    format!(r#"{{"type":"account","user":"{user}","email":"{email}","balance":1204.5,"at":{}}}"#, 170_000 + n)
}

impl Server {
    pub(crate) fn errand(&self, which: Which) -> Reply {
        match which {
            Which::Ticket => {
                let mut tickets = self.tickets.borrow_mut();
                tickets.push(0);
                let body = format!(r#"{{"ticket":"{TICKET}{}","expires_in":30}}"#, tickets.len() - 1);
                Reply { status: Some(self.ticket_status), body: body.into() }
            }
            Which::Logout => {
                self.logged_out.set(self.logs_out && self.logout_status < 400);
                Reply { status: Some(self.logout_status), body: Vec::new() }
            }
        }
    }

    pub(crate) fn accept(&self, elsewhere: bool) -> Session<'_> {
        let number = self.connections.get() + 1;
        self.connections.set(number);
        self.open.set(self.open.get() + 1);
        Session { server: self, number, elsewhere, head: Vec::new(), inside: None }
    }
}

/// One connection to a server.
pub(crate) struct Session<'a> {
    server: &'a Server,
    number: u32,
    elsewhere: bool,
    head: Vec<u8>,
    inside: Option<Inside>,
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.server.open.set(self.server.open.get() - 1);
    }
}

struct Inside {
    user: Option<&'static str>,
    /// When the bucket of messages is empty again.
    empty_at: Duration,
    fragments: u32,
    receiver: Receiver,
    text: Vec<u8>,
    sloppy: Vec<u8>,
}

impl Session<'_> {
    pub(crate) fn receive(&mut self, bytes: &[u8], now: Duration) -> Vec<Output> {
        if self.inside.is_some() {
            if self.server.ends_oldest && self.server.connections.get() - self.number >= self.server.most_open
            {
                return vec![Output::End];
            }
            return if self.server.strict_frames { self.strict(bytes, now) } else { self.sloppy(bytes) };
        }
        self.head.extend_from_slice(bytes);
        if find_end_of_head(&self.head).is_none() {
            return Vec::new();
        }
        let request = Request {
            origin: self.header("origin"),
            cookie: self.header("cookie"),
            requested_with: self.header("x-requested-with"),
            bearer: self.header("authorization"),
            target: String::from_utf8_lossy(&self.head).split(' ').nth(1).unwrap_or_default().to_owned(),
            number: self.number,
            ticket_uses: self.ticket_uses(),
            elsewhere: self.elsewhere,
            logged_out: self.server.logged_out.get(),
        };
        if self.server.strict_handshake {
            let sound = match RequestHead::parse(&self.head, HeadLimits::default()) {
                Ok(Some((head, length))) => {
                    UpgradeRequest::judge(head, self.head.len() - length).violations.is_empty()
                }
                Ok(None) | Err(_) => false,
            };
            if !sound {
                return vec![Output::Bytes(http_response(400, &[], "text/plain", "")), Output::End];
            }
        }
        let gate = match self.server.takes {
            _ if !self.server.ends_oldest && self.server.open.get() > self.server.most_open => {
                Gate::Refuse(503)
            }
            Some(takes) if request.ticket_uses > 0 && takes(&request) => Gate::Admit(Some("mara")),
            Some(_) => Gate::Refuse(401),
            None => (self.server.gate)(&request),
        };
        match gate {
            Gate::Refuse(status) => {
                vec![Output::Bytes(http_response(status, &[], "text/plain", "")), Output::End]
            }
            Gate::CloseAtOnce(code) => {
                let mut out = self.upgrade();
                Transmitter::new(Role::Server).close(Some(code), "", &mut no_keys, &mut out);
                vec![Output::Bytes(out), Output::End]
            }
            Gate::Admit(user) => {
                let limits = Limits { frame: self.server.limit, message: self.server.limit };
                let mut receiver = Receiver::new(Role::Server, limits);
                if let Some(output) = self.server.inflates {
                    let ratio = u32::MAX;
                    let limits = InflateLimits { output, ratio, ..InflateLimits::default() };
                    receiver = receiver.with_inflater(Inflater::new(true, limits));
                }
                self.inside = Some(Inside {
                    user,
                    empty_at: now,
                    fragments: 0,
                    receiver,
                    text: Vec::new(),
                    sloppy: Vec::new(),
                });
                let mut out = self.upgrade();
                for text in (self.server.greeting)(user, self.number) {
                    say(&text, &mut out);
                }
                let mut outputs = vec![Output::Bytes(out)];
                outputs.extend(self.server.silence.output());
                outputs
            }
        }
    }

    /// Counts one more use of the ticket that stands anywhere in the head.
    fn ticket_uses(&self) -> u32 {
        let head = String::from_utf8_lossy(&self.head).into_owned();
        let digits = head.split_once(TICKET).map_or("", |(_, rest)| rest);
        let digits = &digits[..digits.bytes().take_while(u8::is_ascii_digit).count()];
        let mut tickets = self.server.tickets.borrow_mut();
        let Some(uses) = digits.parse::<usize>().ok().and_then(|index| tickets.get_mut(index)) else {
            return 0;
        };
        *uses += 1;
        *uses
    }

    fn upgrade(&self) -> Vec<u8> {
        let key = self.header("sec-websocket-key").unwrap_or_default();
        let key = if self.server.right_accept { key } else { "wrong".to_owned() };
        let mut out = switching_protocols(key.as_bytes(), None);
        out.truncate(out.len() - 2);
        out.extend_from_slice(self.server.extra_header.as_bytes());
        if self.server.inflates.is_some() && self.header("sec-websocket-extensions").is_some() {
            out.extend_from_slice(b"Sec-WebSocket-Extensions: permessage-deflate\r\n");
        }
        out.extend_from_slice(b"\r\n");
        out
    }

    /// Finds a header as sloppily as can be.
    fn header(&self, name: &str) -> Option<String> {
        let text = String::from_utf8_lossy(&self.head).into_owned();
        text.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    }

    fn strict(&mut self, bytes: &[u8], now: Duration) -> Vec<Output> {
        let (server, number) = (self.server, self.number);
        let is_over = server.logged_out.get() && server.ends_with_session;
        let Some(Inside { user, receiver, text, empty_at, fragments, .. }) = self.inside.as_mut() else {
            return Vec::new();
        };
        let (mut out, mut ended) = (Vec::new(), false);
        let (mut later, mut pings) = (Vec::new(), Vec::new());
        if is_over && user.is_some() {
            Transmitter::new(Role::Server).close(Some(CloseCode(4401)), "", &mut no_keys, &mut out);
            return outputs(out, true);
        }
        receiver.receive(&mut bytes.to_vec(), |fact| {
            match fact {
                Fact::Data(data) => {
                    text.extend_from_slice(data.bytes);
                    if data.ends {
                        *fragments = 0;
                        let heard = String::from_utf8_lossy(&std::mem::take(text)).into_owned();
                        let mut said = Vec::new();
                        for answer in (server.answer)(*user, number, &heard) {
                            say(&answer, &mut said);
                        }
                        match server.pace.and_then(|pace| pace.take(empty_at, now)) {
                            None => out.extend(said),
                            Some((wait, Over::Waits)) => {
                                later.push(Output::Later(wait, Box::new(Output::Bytes(said))));
                            }
                            Some((_, Over::Closes(code))) => {
                                Transmitter::new(Role::Server).close(Some(code), "", &mut no_keys, &mut out);
                                ended = true;
                                return Flow::Stop;
                            }
                            Some((_, Over::Complains)) => {
                                say(r#"{"type":"error","message":"slow down"}"#, &mut out);
                            }
                            Some((_, Over::IsDropped)) => {}
                        }
                    }
                }
                Fact::Ping(payload) if server.pongs => pings.push(payload.to_vec()),
                Fact::Frame(header) if !header.fin || header.opcode == Opcode::Continuation => {
                    *fragments += 1;
                    if *fragments > server.fragments {
                        let code = Some(CloseCode::POLICY);
                        Transmitter::new(Role::Server).close(code, "", &mut no_keys, &mut out);
                        ended = true;
                        return Flow::Stop;
                    }
                }
                Fact::Close(payload) => {
                    Transmitter::new(Role::Server).close(payload.code, "", &mut no_keys, &mut out);
                    ended = true;
                }
                Fact::Violation(violation) => {
                    let code = Some(violation.close_code());
                    Transmitter::new(Role::Server).close(code, "", &mut no_keys, &mut out);
                    ended = true;
                }
                Fact::Ping(_) | Fact::Pong(_) | Fact::Frame(_) => {}
            }
            Flow::Continue
        });
        if pings.len() > server.pings as usize {
            ended = true;
            Transmitter::new(Role::Server).close(Some(CloseCode::POLICY), "", &mut no_keys, &mut out);
        }
        let passed = if server.last_pong_only { pings.len().saturating_sub(1) } else { 0 };
        // Those that were read before one was too many.
        let mut pongs = Vec::new();
        for ping in pings.iter().skip(passed).take(server.pings as usize) {
            Transmitter::new(Role::Server).pong(ping, &mut no_keys, &mut pongs);
        }
        pongs.extend(out);
        let mut outputs = outputs(pongs, ended);
        outputs.extend(later);
        outputs
    }

    /// Takes frames as they come, legal or not.
    fn sloppy(&mut self, bytes: &[u8]) -> Vec<Output> {
        let (server, number) = (self.server, self.number);
        let Some(Inside { user, sloppy, .. }) = self.inside.as_mut() else { return Vec::new() };
        sloppy.extend_from_slice(bytes);
        let (mut out, mut ended) = (Vec::new(), false);
        while let Some((header, length)) = FrameHeader::parse(sloppy) {
            let payload = usize::try_from(header.length.value & 0xff_ffff).unwrap_or(usize::MAX);
            if sloppy.len() < length + payload {
                break;
            }
            let frame: Vec<u8> = sloppy.drain(..length + payload).collect();
            let mut payload = frame[length..].to_vec();
            if let Some(key) = header.mask {
                apply_mask(key, 0, &mut payload);
            }
            match header.opcode {
                Opcode::Ping => {
                    Transmitter::new(Role::Server).frame(Opcode::Pong, true, &payload, &mut no_keys, &mut out)
                }
                Opcode::Close => {
                    Transmitter::new(Role::Server).frame(
                        Opcode::Close,
                        true,
                        &payload,
                        &mut no_keys,
                        &mut out,
                    );
                    ended = true;
                }
                Opcode::Pong => {}
                Opcode::Text | Opcode::Binary | Opcode::Continuation | Opcode::Reserved(_) => {
                    for answer in (server.answer)(*user, number, &String::from_utf8_lossy(&payload)) {
                        say(&answer, &mut out);
                    }
                }
            }
        }
        outputs(out, ended)
    }
}

impl Pace {
    /// Takes a message into the bucket; tells how long it has to wait where there is no room.
    fn take(self, empty_at: &mut Duration, now: Duration) -> Option<(Duration, Over)> {
        let full = (*empty_at).max(now) + self.every;
        let wait = full.saturating_sub(now + self.every * self.burst);
        if wait.is_zero() || matches!(self.over, Over::Waits) {
            *empty_at = full;
        }
        (!wait.is_zero()).then_some((wait, self.over))
    }
}

impl Silence {
    fn output(self) -> Option<Output> {
        let mut out = Vec::new();
        let after = match self {
            Self::IsBorne => return None,
            Self::Closes(after) => return Some(Output::Later(after, Box::new(Output::End))),
            Self::Pings(after) => {
                Transmitter::new(Role::Server).ping(b"", &mut no_keys, &mut out);
                after
            }
            Self::Speaks(after) => {
                say("tick", &mut out);
                after
            }
        };
        Some(Output::Later(after, Box::new(Output::Bytes(out))))
    }
}

fn outputs(out: Vec<u8>, ended: bool) -> Vec<Output> {
    let mut outputs = Vec::new();
    if !out.is_empty() {
        outputs.push(Output::Bytes(out));
    }
    if ended {
        outputs.push(Output::End);
    }
    outputs
}

fn say(text: &str, out: &mut Vec<u8>) {
    Transmitter::new(Role::Server).message(MessageKind::Text, text.as_bytes(), &mut no_keys, out);
}

fn no_keys() -> [u8; 4] {
    unreachable!("a server does not mask")
}
