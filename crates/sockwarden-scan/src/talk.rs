//! What a check asks the driver to say and to wait for.

use std::time::Duration;

use sockwarden_proto::{CloseCode, MaskKeys, MessageKind, Role, Transmitter, handshake::ClientHandshake};

/// One connection, from its opening on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Talk {
    /// What it is for, in the words of a report.
    pub title: String,
    /// How it is opened.
    pub opening: Opening,
    /// What is said and awaited once the target has answered 101; left out when it answers otherwise.
    pub turns: Vec<Turn>,
}

/// The first bytes of a connection. Where they go is not for a check to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// What is written, legal or not.
    pub bytes: Vec<u8>,
    /// The handshake that the answer is to be judged by, where the bytes are one.
    pub handshake: Option<ClientHandshake>,
    /// How long the answer may take.
    pub patience: Duration,
    /// Whether it comes from another of this machine's addresses than usual; on loopback only.
    pub elsewhere: bool,
    /// Whether the connections before it stay open.
    pub alongside: bool,
    /// How slowly it comes.
    pub slow: Slow,
}

/// How slowly an opening comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Slow {
    /// As fast as it can be written.
    #[default]
    Not,
    /// Its last bytes ([`Slow::TAIL`]) come one by one, evenly over this time.
    Tail(Duration),
    /// Nothing is said for so long before TLS begins.
    Hello(Duration),
}

/// One thing to do on an open connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Writes bytes, legal frames or not.
    Send(Vec<u8>),
    /// Reads.
    Listen(Listen),
}

/// How long to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// What ends it early; the end of the connection always does.
    pub until: Until,
    /// The longest that it may take.
    pub at_most: Duration,
}

/// What a listener waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Until {
    /// Nothing has come for so long.
    Quiet(Duration),
    /// A pong with this payload.
    Pong(Vec<u8>),
    /// A pong with this payload or any message that begins after this turn.
    Reply(Vec<u8>),
    /// So many messages have come on the connection in all.
    Messages(usize),
    /// So many pongs have come on the connection in all.
    Pongs(usize),
    /// A ping of the target.
    Ping,
    /// The target ends the connection.
    End,
}

impl Opening {
    /// Opens with a legal handshake.
    pub fn legal(handshake: ClientHandshake) -> Self {
        Self {
            bytes: handshake.encode(),
            handshake: Some(handshake),
            patience: Duration::from_secs(5),
            elsewhere: false,
            alongside: false,
            slow: Slow::Not,
        }
    }

    /// Opens with any bytes; the answer is judged by nothing but its status.
    pub const fn raw(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            handshake: None,
            patience: Duration::from_millis(1500),
            elsewhere: false,
            alongside: false,
            slow: Slow::Not,
        }
    }
}

impl Slow {
    /// How many bytes come one by one.
    pub const TAIL: u32 = 80;
}

impl Opening {
    /// Tells whether it is meant to find out where the target's patience ends.
    pub(crate) fn tries_patience(&self) -> bool {
        self.alongside || self.slow != Slow::Not
    }
}

impl Turn {
    /// How long a target is given to begin an answer before it counts as silent.
    pub const QUIET: Duration = Duration::from_millis(300);

    /// Sends a text message in one masked frame.
    pub fn text(text: &str, keys: &mut impl MaskKeys) -> Self {
        let mut out = Vec::new();
        Transmitter::new(Role::Client).message(MessageKind::Text, text.as_bytes(), keys, &mut out);
        Self::Send(out)
    }

    /// Sends the same text message so often, all at once.
    pub fn texts(text: &str, count: usize, keys: &mut impl MaskKeys) -> Self {
        let mut out = Vec::new();
        for _ in 0..count {
            Transmitter::new(Role::Client).message(MessageKind::Text, text.as_bytes(), keys, &mut out);
        }
        Self::Send(out)
    }

    /// Sends a ping.
    pub fn ping(payload: &[u8], keys: &mut impl MaskKeys) -> Self {
        let mut out = Vec::new();
        Transmitter::new(Role::Client).ping(payload, keys, &mut out);
        Self::Send(out)
    }

    /// Takes leave, without waiting for the answer.
    pub fn farewell(keys: &mut impl MaskKeys) -> Self {
        let mut out = Vec::new();
        Transmitter::new(Role::Client).close(Some(CloseCode::NORMAL), "", keys, &mut out);
        Self::Send(out)
    }

    /// Listens until the target falls silent, at most two seconds.
    pub const fn settle() -> Self {
        Self::Listen(Listen { until: Until::Quiet(Self::QUIET), at_most: Duration::from_secs(2) })
    }
}
