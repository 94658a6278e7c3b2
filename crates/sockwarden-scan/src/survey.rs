//! How the target treats those who do nothing wrong: the yardstick of every check.

use sockwarden_proto::handshake::ClientHandshake;

use crate::{
    check::{Conclusion, Machine, Step},
    dice::Dice,
    exchange::{Connection, Exchange},
    talk::{Opening, Talk, Turn},
    target::{Identity, SameSite, Target},
    values::{Values, is_error},
};

/// The visits that were paid to the target, in order.
#[derive(Debug, Default)]
pub struct Survey {
    /// The visits.
    pub visits: Vec<Visit>,
}

/// One visit: a legal handshake, a pause, and the messages to say.
#[derive(Debug)]
pub struct Visit {
    /// As whom.
    pub who: Who,
    /// Whether the site's own Origin was named.
    pub origin: bool,
    /// What came of it.
    pub connection: Connection,
}

/// As whom a connection is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Nobody: no credentials.
    Anonymous,
    /// The target's identity with this index.
    Identity(usize),
}

/// A way that leads inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// As whom.
    pub who: Who,
    /// Whether the site's own Origin is named.
    pub origin: bool,
}

impl Survey {
    /// Gives the visits of `who` that were let in.
    pub fn admitted(&self, who: Who) -> impl Iterator<Item = &Visit> {
        self.visits.iter().filter(move |visit| visit.who == who && visit.connection.is_admitted())
    }

    /// Gives the way in that risks the least: without credentials where that is possible.
    pub fn way_in(&self) -> Option<Way> {
        let open = |visit: &&Visit| visit.connection.is_admitted();
        let anonymous = self.visits.iter().filter(open).find(|visit| visit.who == Who::Anonymous);
        let visit = anonymous.or_else(|| self.visits.iter().find(open))?;
        Some(Way { who: visit.who, origin: visit.origin })
    }

    /// Gives the way in of `who`.
    pub fn way_of(&self, who: Who) -> Option<Way> {
        self.admitted(who).next().map(|visit| Way { who, origin: visit.origin })
    }

    /// Says how the visits were refused, for a person.
    pub fn refusal(&self) -> String {
        self.visits.last().map_or_else(String::new, |visit| visit.connection.answered())
    }

    /// Gives the values that every admitted visit of `who` received: what changes from visit to visit is left out.
    pub(crate) fn stable(&self, who: Who, part: Part) -> Values {
        let mut visits = self.admitted(who).map(|visit| part.values(&visit.connection));
        let first = visits.next().unwrap_or_default();
        visits.fold(first, |stable, values| stable.common(&values))
    }

    /// Gives the values that any visit of `who` received.
    pub(crate) fn any(&self, who: Who, part: Part) -> Values {
        self.visits
            .iter()
            .filter(|visit| visit.who == who)
            .map(|visit| part.values(&visit.connection))
            .fold(Values::default(), |all, values| all.and(&values))
    }

    /// Gives what only `who` receives: stable over the visits, unknown to the anonymous, no echo of what was said.
    pub(crate) fn private(&self, who: Who, target: &Target) -> Values {
        let stable = self.stable(who, Part::All);
        match self.admitted(Who::Anonymous).next() {
            // The anonymous said the same, so that an echo is theirs as well, and a name that was said and comes back to its
            // owner only is no echo.
            Some(_) => stable.without(&self.any(Who::Anonymous, Part::All)),
            None => stable.without_echo(&target.say),
        }
    }

    /// Gives the SameSite attribute of an identity's cookie: as the user said, else as a handshake's answer sets it.
    pub(crate) fn same_site(&self, identity: &Identity) -> SameSite {
        if identity.same_site != SameSite::Unknown {
            return identity.same_site;
        }
        let heads = self.visits.iter().filter_map(|visit| match visit.connection.answer() {
            crate::exchange::Answer::Head(head) => Some(head),
            crate::exchange::Answer::None | crate::exchange::Answer::Malformed(_) => None,
        });
        heads
            .flat_map(|head| head.headers.all("set-cookie").collect::<Vec<_>>())
            .filter_map(|value| std::str::from_utf8(value).ok())
            .find_map(|value| identity.cookie_names().find_map(|name| SameSite::from_set_cookie(value, name)))
            .unwrap_or_default()
    }
}

/// Which messages of a connection are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of them.
    All,
    /// Those that came before anything was said.
    Greeting,
    /// Those that came after something was said and are no errors.
    Answers,
}

impl Part {
    pub(crate) fn values(self, connection: &Connection) -> Values {
        match self {
            Self::All => Values::of(connection.messages()),
            Self::Greeting => Values::of(connection.messages().iter().filter(|m| m.after_sends == 0)),
            Self::Answers => Values::of(connection.replies().filter(|m| !is_error(&m.payload))),
        }
    }
}

/// Makes a legal handshake with the target's common headers and sub-protocols, and nothing else.
pub(crate) fn handshake(target: &Target, dice: &mut Dice) -> ClientHandshake {
    let mut handshake =
        ClientHandshake::new(&target.url.authority(), &target.url.target, &dice.handshake_key());
    handshake.protocols.clone_from(&target.subprotocols);
    for (name, value) in &target.headers {
        handshake = handshake.with_header(name, value.as_bytes());
    }
    if !target.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("user-agent")) {
        handshake = handshake.with_header("User-Agent", concat!("sockwarden/", env!("CARGO_PKG_VERSION")));
    }
    handshake
}

/// Makes the handshake of a way in.
pub(crate) fn handshake_of(way: Way, target: &Target, dice: &mut Dice) -> ClientHandshake {
    let mut handshake = handshake(target, dice);
    if way.origin {
        handshake = handshake.with_header("Origin", target.site_origin());
    }
    if let Who::Identity(index) = way.who {
        for (name, value) in target.identities.get(index).into_iter().flat_map(|identity| &identity.headers) {
            handshake = handshake.with_header(name, value.as_bytes());
        }
    }
    handshake
}

/// Makes what is said on a visit: a pause for the greeting, then each message and a pause.
pub(crate) fn conversation(target: &Target, dice: &mut Dice) -> Vec<Turn> {
    saying(&target.say, dice)
}

/// Makes a visit's turns of any messages: a pause for the greeting, then each message and a pause, then leave is taken.
pub(crate) fn saying(texts: &[String], dice: &mut Dice) -> Vec<Turn> {
    let mut turns = vec![Turn::settle()];
    for text in texts {
        turns.extend([Turn::text(text, dice), Turn::settle()]);
    }
    turns.push(Turn::farewell(dice));
    turns
}

/// Pays the visits: twice without credentials, and twice as each identity and once more without credentials where that is
/// let in; with the site's Origin or, where that is refused, without any. Who comes after an identity sees what the
/// identity left for everybody, the history of a chat for one.
pub(crate) struct Surveyor<'a> {
    target: &'a Target,
    dice: Dice,
    asked: Vec<Way>,
}

impl<'a> Surveyor<'a> {
    pub(crate) const fn new(target: &'a Target, dice: Dice) -> Self {
        Self { target, dice, asked: Vec::new() }
    }

    /// Gives the visits that were paid.
    pub(crate) fn survey(&self, exchange: Exchange) -> Survey {
        let visits = self.asked.iter().zip(exchange.connections);
        Survey {
            visits: visits
                .map(|(way, connection)| Visit { who: way.who, origin: way.origin, connection })
                .collect(),
        }
    }

    /// Decides whom to be next, from how the last visit went.
    fn next_way(&self, exchange: &Exchange) -> Option<Way> {
        let (Some(&way), Some(last)) = (self.asked.last(), exchange.last()) else {
            return Some(Way { who: Who::Anonymous, origin: true });
        };
        // What does not answer at first will not answer later.
        if self.asked.len() == 1 && last.status().is_none() {
            return None;
        }
        let visits = self.asked.iter().filter(|asked| asked.who == way.who).count();
        if last.is_admitted() && self.asked.iter().filter(|&&asked| asked == way).count() < 2 {
            return Some(way);
        }
        if !last.is_admitted() && way.origin && visits == 1 {
            return Some(Way { origin: false, ..way });
        }
        if let (Who::Identity(_), Some(back)) = (way.who, self.anonymous_way(exchange)) {
            return Some(back);
        }
        let met = |asked: &Way| match asked.who {
            Who::Anonymous => None,
            Who::Identity(index) => Some(index + 1),
        };
        let next = self.asked.iter().rev().find_map(met).unwrap_or(0);
        (next < self.target.identities.len()).then_some(Way { who: Who::Identity(next), origin: true })
    }
}

impl Surveyor<'_> {
    /// Gives the way by which somebody without credentials was let in.
    fn anonymous_way(&self, exchange: &Exchange) -> Option<Way> {
        let visits = self.asked.iter().zip(&exchange.connections);
        visits
            .filter(|(way, visit)| way.who == Who::Anonymous && visit.is_admitted())
            .map(|(&way, _)| way)
            .next()
    }
}

impl Machine for Surveyor<'_> {
    fn next(&mut self, exchange: &Exchange) -> Step {
        let Some(way) = self.next_way(exchange) else { return Conclusion::clean().into() };
        self.asked.push(way);
        let handshake = handshake_of(way, self.target, &mut self.dice);
        let name = match way.who {
            Who::Anonymous => "without credentials".to_owned(),
            Who::Identity(index) => {
                format!(
                    "as {}",
                    self.target.identities.get(index).map_or("", |identity| identity.name.as_str())
                )
            }
        };
        let origin = if way.origin { "" } else { ", without an Origin" };
        Step::Talk(Talk {
            title: format!("{name}{origin}"),
            opening: Opening::legal(handshake),
            turns: conversation(self.target, &mut self.dice),
        })
    }
}
