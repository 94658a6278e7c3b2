//! `ocpp-session`: one connection for one charging station.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_inspect::Protocol;
use sockwarden_model::{Mode, Rule, printable, rule};
use sockwarden_proto::CloseCode;

use crate::{Closure, Defence, Fact, Guard, Hears, OpenFact, Verdict};

rule! {
    /// # What it does
    /// Lets each charging station have one connection: of OCPP the last segment of the path names the station. A second connection in its
    /// name is closed with 1008 while the first one lives; with `wins = "newer"` it is the first one that is closed, with the next
    /// frame that goes either way. A connection whose path names no station is closed. It acts only where OCPP is spoken, as the handshake
    /// or `inspect.protocol` says.
    ///
    /// The table is held in memory, by each route: several gateways do not know of each other's stations, and a reload that changes the
    /// route begins a new one.
    ///
    /// # Why is this bad
    /// The name of a station is no secret: it is printed on its front. Without a second look a management system takes whoever connects in that
    /// name for the station: commands go to the newer connection, and the real one is cut off, or both take turns. Charging is free,
    /// or stops.
    ///
    /// # How to fix
    /// Authenticate stations: security profile 2 (a password for each, over TLS) or 3 (a certificate for each), and compare the name with the
    /// path. Then keep one connection for each station:
    ///
    /// ```python
    /// async def on_connect(connection):
    ///     station = connection.request.path.rsplit("/", 1)[-1]
    ///     if station != connection.certificate_name or station in connected:
    ///         return await connection.close(1008)
    /// ```
    ///
    /// Who can connect in a station's name first keeps it out while the older connection wins; who can connect at all pushes it out
    /// while the newer one does. A station that lost its network comes back when the dead connection was noticed (`timeouts`); where that
    /// takes too long and stations are authenticated, say `wins = "newer"`.
    pub static RULE = Defence {
        id: "ocpp-session",
        summary: "a charging station has one connection at a time",
        severity: High,
        threats: [T1],
        cwe: [290, 384],
        references: ["OCPP 2.0.1 Part 4 §3.1.1", "CWE-290", "CWE-384"],
        lifecycle: Preview,
        counterparts: [],
        profile: Passive,
        may_change: "a station that reconnects before its old connection has ended is closed",
    }
}

/// `ocpp-session`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OcppSessionConfig {
    /// off, observe or block.
    pub mode: Mode,
    /// Which of two connections in the name of one station lives on.
    pub wins: WinnerKind,
}

/// Which of two connections lives on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WinnerKind {
    /// The one that was there.
    #[default]
    Older,
    /// The one that comes.
    Newer,
}

/// The most stations of one route; more connections than that no gateway has.
const MOST: usize = 1_000_000;

/// The longest name of a station, in bytes (2.0.1 Part 4 §3.1.1 has 48 characters).
const LONGEST: usize = 255;

/// Keeps one connection for each station.
#[derive(Clone, Debug)]
pub struct OcppSession {
    wins: WinnerKind,
    stations: Arc<Stations>,
}

impl OcppSession {
    /// Begins with no station.
    pub fn new(config: &OcppSessionConfig) -> Self {
        Self { wins: config.wins, stations: Arc::default() }
    }
}

/// Which stations are connected.
#[derive(Debug, Default)]
struct Stations(Mutex<HashMap<Box<str>, Arc<Seat>>>);

/// The place of one connection.
#[derive(Debug, Default)]
struct Seat {
    /// Whether a newer connection has taken it.
    is_lost: AtomicBool,
}

impl Stations {
    fn locked(&self) -> MutexGuard<'_, HashMap<Box<str>, Arc<Seat>>> {
        // The table is whole between any two statements that change it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seats a connection, or tells why not.
    fn enter(self: &Arc<Self>, station: &str, wins: WinnerKind) -> Result<Seated, &'static str> {
        let mut table = self.locked();
        if let Some(older) = table.get(station) {
            match wins {
                WinnerKind::Older => return Err("is connected already"),
                WinnerKind::Newer => older.is_lost.store(true, Ordering::Relaxed),
            }
        } else if table.len() >= MOST {
            return Err("is one more than are kept");
        }
        let seat = Arc::<Seat>::default();
        table.insert(station.into(), Arc::clone(&seat));
        Ok(Seated { station: station.into(), seat, stations: Arc::clone(self) })
    }
}

/// A connection that has its place; it gives it back when it ends.
struct Seated {
    station: Box<str>,
    seat: Arc<Seat>,
    stations: Arc<Stations>,
}

impl Drop for Seated {
    fn drop(&mut self) {
        let mut table = self.stations.locked();
        if table.get(&self.station).is_some_and(|seat| Arc::ptr_eq(seat, &self.seat)) {
            table.remove(&self.station);
        }
    }
}

/// Gives the name of the station that a target names: the last segment of the path, decoded, so that it has one spelling.
fn station(target: &str) -> Option<String> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let mut bytes = Vec::with_capacity(last.len());
    let mut rest = last.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'%'));
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    let name = String::from_utf8(bytes).ok()?;
    (!name.is_empty() && name.len() <= LONGEST).then_some(name)
}

impl Defence for OcppSession {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn hears(&self) -> Hears {
        match self.wins {
            WinnerKind::Older => Hears::NOTHING,
            WinnerKind::Newer => Hears::FRAMES,
        }
    }

    fn guard(&self) -> Box<dyn Guard> {
        Box::new(Watch { defence: self.clone(), seated: None })
    }
}

struct Watch {
    defence: OcppSession,
    seated: Option<Seated>,
}

impl Watch {
    fn open(&mut self, open: &OpenFact<'_>) -> Verdict {
        // A request takes no station's place.
        if open.protocol != Some(Protocol::Ocpp) || open.in_bodies {
            return Verdict::Pass;
        }
        let Some(station) = station(open.target) else {
            return closed("the path names no station".to_owned(), "the path names no station");
        };
        match self.defence.stations.enter(&station, self.defence.wins) {
            Ok(seated) => {
                self.seated = Some(seated);
                Verdict::Pass
            }
            Err(why) => {
                let station = printable(station.as_bytes(), 60);
                closed(format!("the station `{station}` {why}"), "the station cannot connect now")
            }
        }
    }

    /// Closes a connection that has lost its place. It says so once: what the application answers to that still goes its way.
    fn leave(&mut self) -> Verdict {
        match self.seated.take_if(|seated| seated.seat.is_lost.load(Ordering::Relaxed)) {
            Some(seated) => {
                let station = printable(seated.station.as_bytes(), 60);
                closed(
                    format!("the station `{station}` has connected anew"),
                    "the station has connected anew",
                )
            }
            None => Verdict::Pass,
        }
    }
}

fn closed(reason: String, told: &'static str) -> Verdict {
    Verdict::Close(Closure { code: CloseCode::POLICY, reason, told, limit: None })
}

impl Guard for Watch {
    fn observe(&mut self, fact: &Fact<'_>, _now: Duration) -> Verdict {
        match fact {
            Fact::Open(open) => self.open(open),
            Fact::Frame { .. } => self.leave(),
            Fact::Handshake(_)
            | Fact::Request(_)
            | Fact::Answer(_)
            | Fact::Upstream(_)
            | Fact::Inflated { .. }
            | Fact::Content { .. }
            | Fact::Violation { .. } => Verdict::Pass,
        }
    }
}

#[cfg(test)]
mod tests {
    use sockwarden_model::Direction;
    use sockwarden_proto::{FrameHeader, Opcode};

    use super::*;

    fn defence(wins: WinnerKind) -> OcppSession {
        OcppSession::new(&OcppSessionConfig { wins, ..Default::default() })
    }

    fn open(defence: &OcppSession, protocol: Protocol, target: &str) -> (Box<dyn Guard>, bool) {
        let mut guard = defence.guard();
        let nobody = sockwarden_model::Identity::default();
        let fact =
            Fact::Open(OpenFact { identity: &nobody, protocol: Some(protocol), target, in_bodies: false });
        let passed = guard.observe(&fact, Duration::ZERO) == Verdict::Pass;
        (guard, passed)
    }

    fn lives(guard: &mut dyn Guard) -> bool {
        let header = FrameHeader::new(Opcode::Text, 1);
        let fact = Fact::Frame { direction: Direction::Server, header: &header };
        guard.observe(&fact, Duration::ZERO) == Verdict::Pass
    }

    #[test]
    fn a_station_connects_again_once_its_connection_has_ended() {
        let defence = defence(WinnerKind::Older);
        let (first, entered) = open(&defence, Protocol::Ocpp, "/ocpp/CP1");
        assert!(entered);
        for again in ["/ocpp/CP1", "/ocpp/CP1/", "/ocpp/CP1?x=1", "/other/CP%31"] {
            assert!(!open(&defence, Protocol::Ocpp, again).1, "{again}");
        }
        assert!(open(&defence, Protocol::Ocpp, "/ocpp/CP2").1);
        assert!(open(&defence, Protocol::JsonRpc, "/ocpp/CP1").1, "only OCPP has stations");
        drop(first);
        assert!(open(&defence, Protocol::Ocpp, "/ocpp/CP1").1);
        assert_eq!(defence.stations.locked().len(), 0, "every guard is gone");
    }

    #[test]
    fn the_newer_one_can_win() {
        let defence = defence(WinnerKind::Newer);
        let (mut first, entered) = open(&defence, Protocol::Ocpp, "/CP1");
        assert!(entered && lives(&mut *first));
        let (mut second, entered) = open(&defence, Protocol::Ocpp, "/CP1");
        assert!(entered && !lives(&mut *first) && lives(&mut *second));
        assert!(lives(&mut *first), "it is said once");
        drop(first);
        assert_eq!(defence.stations.locked().len(), 1, "the older one takes no place with it");
        assert!(lives(&mut *second));
    }

    #[test]
    fn a_path_that_names_no_station_is_closed() {
        for target in ["/", "", "/?CP1", "/%FF", &format!("/{}", "x".repeat(256))] {
            assert!(!open(&defence(WinnerKind::Older), Protocol::Ocpp, target).1, "{target}");
        }
    }
}
