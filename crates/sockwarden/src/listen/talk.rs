//! The conversation itself: what the server says and what is typed, until one of them has enough.

use std::{
    io::{self, BufRead as _, Read as _},
    thread,
    time::{Duration, Instant},
};

use sockwarden_inspect::{Conversation, InspectLimits, Message, Reader};
use sockwarden_model::Direction;
use sockwarden_net::{Client, Heard, Incoming};
use sockwarden_proto::{CloseCode, MessageKind, Violation};
use tokio::{
    sync::mpsc,
    time::{sleep_until, timeout},
};

use crate::{clock, seen::Seen, signals::Signals, style::ERROR};

use super::{
    Har, View,
    typed::Typed,
    view::{Said, What},
};

/// How long the server may take to answer our close frame.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long the server may take to take a message.
const SENDING: Duration = Duration::from_secs(30);

/// How long to talk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// How long to listen after the input has ended; `None` for as long as the rest allows.
    pub(crate) wait: Option<Duration>,
    /// How long altogether.
    pub(crate) most: Option<Duration>,
    /// How many messages of the server.
    pub(crate) count: Option<u64>,
    /// Whether lines are hexadecimal digits.
    pub(crate) binary: bool,
    /// Whether a person types: a line that is not understood ends nothing then.
    pub(crate) interactive: bool,
}

/// How a conversation ended.
#[derive(Debug)]
pub(crate) enum End {
    /// We had enough, by time, count, end of input, command or signal.
    Ours,
    /// The server closed it.
    Closed(Option<CloseCode>),
    /// The server broke the protocol.
    Violation(Violation),
    /// The connection broke, or the server takes nothing.
    Broken(io::Error),
    /// A line of the input is not understood; it was not sent.
    NotUnderstood(String),
}

/// Lines of standard input; an error is what is wrong with one.
pub(crate) type Input = mpsc::Receiver<Result<String, String>>;

/// Reads standard input on a thread of its own, a line of at most `longest` bytes at a time.
pub(crate) fn input(longest: u64) -> Input {
    let (sender, receiver) = mpsc::channel(16);
    // It waits for input as long as the program lives, and is not waited for.
    thread::spawn(move || {
        let mut lines = io::stdin().lock();
        loop {
            let mut line = Vec::new();
            let said = match lines.by_ref().take(longest + 2).read_until(b'\n', &mut line) {
                Ok(0) => return,
                Ok(_) => as_line(line, longest),
                Err(error) => Err(format!("standard input cannot be read: {error}")),
            };
            let over = said.is_err();
            if sender.blocking_send(said).is_err() || over {
                return;
            }
        }
    });
    receiver
}

fn as_line(mut line: Vec<u8>, longest: u64) -> Result<String, String> {
    if line.pop_if(|last| *last == b'\n').is_some() {
        line.pop_if(|last| *last == b'\r');
    }
    if line.len() as u64 > longest {
        return Err(format!("a line of the input is longer than {longest} bytes (--max-size)"));
    }
    String::from_utf8(line)
        .map_err(|_| "a line of the input is not UTF-8: send bytes with /binary HEX".to_owned())
}

/// A conversation under way.
pub(crate) struct Talk<'a> {
    pub(crate) client: Client,
    pub(crate) view: &'a mut View,
    pub(crate) har: Option<&'a mut Har>,
    pub(crate) conversation: Conversation,
    pub(crate) reader: Reader,
    pub(crate) plan: Plan,
    pub(crate) opened: Instant,
}

/// What comes next.
enum Next {
    Listen,
    /// We leave, with this end: the server is told, and heard until it has answered.
    Leave(End),
    /// We have told the server that we leave.
    Left,
    End(End),
}

impl Talk<'_> {
    /// Talks until there is an end.
    ///
    /// # Errors
    /// What was said cannot be written, or signals cannot be heard.
    pub(crate) async fn run(&mut self, mut input: Input) -> io::Result<End> {
        let mut signals = Signals::to_end()?;
        let mut until = self.plan.most.map(|most| self.opened + most);
        let (mut has_input, mut heard) = (true, 0);
        // How it will have ended, once we have said farewell.
        let mut left: Option<End> = None;
        loop {
            let next = tokio::select! {
                said = self.client.hear() => self.hear(said, &mut heard)?,
                line = input.recv(), if has_input && left.is_none() => match line {
                    Some(line) => self.say(line).await?,
                    None => {
                        has_input = false;
                        let wait = self.plan.wait.map(|wait| Instant::now() + wait);
                        until = until.into_iter().chain(wait).min();
                        Next::Listen
                    }
                },
                () = passed(until) => Next::Leave(End::Ours),
                _ = signals.end() => Next::Leave(End::Ours),
            };
            match (next, left.take()) {
                (Next::Listen, before) => left = before,
                // The server took too long to answer, or somebody is in a hurry.
                (Next::Leave(_) | Next::Left, Some(before)) | (Next::End(_), Some(before)) => {
                    return Ok(before);
                }
                (Next::End(end), None) => return Ok(end),
                (Next::Leave(end), None) => {
                    match timeout(FAREWELL, self.client.close(CloseCode::NORMAL, "")).await {
                        Ok(Ok(())) => {
                            self.tell(Direction::Client, What::Close(Some(CloseCode::NORMAL), ""))?
                        }
                        Ok(Err(_)) | Err(_) => return Ok(end),
                    }
                    left = Some(end);
                    until = Some(Instant::now() + FAREWELL);
                }
                (Next::Left, None) => {
                    left = Some(End::Ours);
                    until = Some(Instant::now() + FAREWELL);
                }
            }
        }
    }

    /// Shows what the server said.
    fn hear(&mut self, said: io::Result<Heard>, heard: &mut u64) -> io::Result<Next> {
        match said {
            Ok(Heard::Said(Incoming::Message(kind, bytes))) => {
                self.message(Direction::Server, kind, &bytes)?;
                *heard += 1;
                let enough = self.plan.count.is_some_and(|count| *heard >= count);
                return Ok(if enough { Next::Leave(End::Ours) } else { Next::Listen });
            }
            Ok(Heard::Ping(payload)) => {
                self.tell(Direction::Server, What::Ping(&payload))?;
                // The client has answered it.
                self.tell(Direction::Client, What::Pong(&payload))?;
            }
            Ok(Heard::Pong(payload)) => self.tell(Direction::Server, What::Pong(&payload))?,
            Ok(Heard::Said(Incoming::Close(code, reason))) => {
                self.tell(Direction::Server, What::Close(code, &reason))?;
                return Ok(Next::End(End::Closed(code)));
            }
            Ok(Heard::Said(Incoming::Violation(violation))) => {
                self.tell(Direction::Server, What::Violation(&violation.to_string()))?;
                return Ok(Next::End(End::Violation(violation)));
            }
            Err(error) => return Ok(Next::End(End::Broken(error))),
        }
        Ok(Next::Listen)
    }

    /// Sends what a line of the input says, and shows it.
    async fn say(&mut self, line: Result<String, String>) -> io::Result<Next> {
        let typed = match line {
            Ok(line) => Typed::read(&line, self.plan.binary).map_err(|error| error.to_string()),
            Err(error) => return Ok(Next::Leave(End::NotUnderstood(error))),
        };
        let typed = match typed {
            Ok(typed) => typed,
            Err(error) if self.plan.interactive => {
                anstream::eprintln!("{ERROR}error:{ERROR:#} {error}");
                return Ok(Next::Listen);
            }
            Err(error) => return Ok(Next::Leave(End::NotUnderstood(error))),
        };
        let client = &mut self.client;
        let sending = async {
            match &typed {
                Typed::Text(text) => client.send_text(text).await,
                Typed::Binary(bytes) => client.send(MessageKind::Binary, bytes).await,
                Typed::Ping(payload) => client.ping(payload).await,
                Typed::Close(code, reason) => client.close(*code, reason).await,
            }
        };
        match timeout(SENDING, sending).await {
            Ok(Ok(())) => {}
            // What the server said before it went is still to be heard.
            Ok(Err(_)) => return Ok(Next::Listen),
            Err(_) => {
                let error = io::Error::new(io::ErrorKind::TimedOut, "the server takes no message");
                return Ok(Next::End(End::Broken(error)));
            }
        }
        match &typed {
            Typed::Text(text) => self.message(Direction::Client, MessageKind::Text, text.as_bytes())?,
            Typed::Binary(bytes) => self.message(Direction::Client, MessageKind::Binary, bytes)?,
            Typed::Ping(payload) => self.tell(Direction::Client, What::Ping(payload))?,
            Typed::Close(code, reason) => {
                self.tell(Direction::Client, What::Close(Some(*code), reason))?;
                return Ok(Next::Left);
            }
        }
        Ok(Next::Listen)
    }

    fn message(&mut self, direction: Direction, kind: MessageKind, bytes: &[u8]) -> io::Result<()> {
        if let Some(har) = &mut self.har {
            har.message(clock::unix_ms(), direction, kind, bytes);
        }
        let message = Message { direction, kind, bytes };
        let limits = InspectLimits::default();
        let seen = Seen::of(&mut self.conversation, &mut self.reader, &limits, &message);
        self.tell(direction, What::Message(kind, bytes, &seen))
    }

    fn tell(&mut self, direction: Direction, what: What<'_>) -> io::Result<()> {
        self.view.write(&Said { after: self.opened.elapsed(), at_ms: clock::unix_ms(), direction, what })
    }
}

/// Waits until that time; for ever where there is none.
async fn passed(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_input_ends_where_it_ends_and_is_bounded() {
        let check = |line: &[u8], expected: Result<&str, &str>| {
            let line = as_line(line.to_vec(), 4);
            assert_eq!(
                line.as_deref().map_err(|error| error.split(':').next().unwrap_or_default()),
                expected
            );
        };
        check(b"abcd\n", Ok("abcd"));
        check(b"ab\r\n", Ok("ab"));
        check(b"ab\r", Ok("ab\r"));
        check(b"abcde\n", Err("a line of the input is longer than 4 bytes (--max-size)"));
        check(b"\xff\n", Err("a line of the input is not UTF-8"));
    }
}
