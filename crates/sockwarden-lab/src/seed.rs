//! What Harbor's database holds when it is new: people, rooms, history, shipments.
//!
//! All of it is made up, and the same at every start, so that a test can name what it expects to see.

use crate::access::Role;

/// Describes one account that exists from the start.
#[derive(Clone, Copy, Debug)]
pub struct SeedAccount {
    /// The name to log in with.
    pub user: &'static str,
    /// The password to log in with.
    pub password: &'static str,
    /// The person's name.
    pub name: &'static str,
    /// What the person may do.
    pub role: Role,
    /// The e-mail address, under a reserved domain.
    pub email: &'static str,
    /// A card number that payment providers publish for tests.
    pub card: &'static str,
    /// The balance in euro cents.
    pub balance_cents: i64,
}

/// A berth planner, member of `office` and `berths`.
pub const MARA: SeedAccount = SeedAccount {
    user: "mara",
    password: "lantern-Skagen-14",
    name: "Mara Lindqvist",
    role: Role::Member,
    email: "mara.lindqvist@harbor.example",
    card: "4242424242424242",
    balance_cents: 184_250,
};

/// A tug captain, member of `office` and `berths`.
pub const JORIS: SeedAccount = SeedAccount {
    user: "joris",
    password: "tugboat-Zeebrugge-7",
    name: "Joris van Aelst",
    role: Role::Member,
    email: "joris.vanaelst@harbor.example",
    card: "5555555555554444",
    balance_cents: 62_015,
};

/// A customs clerk, member of `office` and `customs`.
pub const INES: SeedAccount = SeedAccount {
    user: "ines",
    password: "azulejo-Leixoes-88",
    name: "Inês Carvalho",
    role: Role::Clerk,
    email: "ines.carvalho@harbor.example",
    card: "378282246310005",
    balance_cents: 431_900,
};

/// A crane operator, member of `office` and `berths`.
pub const TOMAS: SeedAccount = SeedAccount {
    user: "tomas",
    password: "gantry-Gdynia-23",
    name: "Tomas Wrona",
    role: Role::Member,
    email: "tomas.wrona@harbor.example",
    card: "6011111111111117",
    balance_cents: 9_940,
};

/// A ship's agent, member of `office` only.
pub const YUSUF: SeedAccount = SeedAccount {
    user: "yusuf",
    password: "manifest-Izmir-51",
    name: "Yusuf Demir",
    role: Role::Member,
    email: "yusuf.demir@harbor.example",
    card: "3530111333300000",
    balance_cents: 1_275_600,
};

/// The administrator, member of every closed room.
pub const ADMIN: SeedAccount = SeedAccount {
    user: "admin",
    password: "Harbourmaster!1912",
    name: "Signe Holm",
    role: Role::Admin,
    email: "admin@harbor.example",
    card: "4012888888881881",
    balance_cents: 0,
};

/// Lists every account that exists from the start.
pub const ACCOUNTS: [SeedAccount; 6] = [MARA, JORIS, INES, TOMAS, YUSUF, ADMIN];

/// The gate code that stands in the history of the room `security`, which only the administrator belongs to.
pub const GATE_CODE: &str = "gate 4 opens with 7719#";

/// How many shipments the ledger holds.
pub const SHIPMENTS: usize = 200;

pub(crate) struct SeedRoom {
    pub(crate) name: &'static str,
    pub(crate) topic: &'static str,
    /// Anybody who is logged in may join an open room.
    pub(crate) open: bool,
    pub(crate) members: &'static [&'static str],
    pub(crate) history: &'static [(&'static str, &'static str)],
}

pub(crate) const ROOMS: [SeedRoom; 5] = [
    SeedRoom {
        name: "office",
        topic: "Everybody, everything",
        open: false,
        members: &["mara", "joris", "ines", "tomas", "yusuf", "admin"],
        history: &[
            ("mara", "Morning. The Halcyon asks for berth 3 from noon."),
            ("joris", "Two tugs free until 14:00, then only the Skua."),
            ("tomas", "Crane 2 is back. The new cable holds."),
            ("ines", "Papers for the Halcyon are in, nothing to hold her for."),
            ("admin", "Thank you all. Coffee is on the harbourmaster."),
        ],
    },
    SeedRoom {
        name: "berths",
        topic: "Who lies where, and until when",
        open: false,
        members: &["mara", "joris", "tomas", "admin"],
        history: &[
            ("mara", "Berth 1 Meridian until Thursday, berth 2 free, berth 3 Halcyon from noon."),
            ("tomas", "Berth 2 stays closed until the fender is replaced."),
            ("joris", "Wind turns north-west tonight. I would keep 4 empty."),
        ],
    },
    SeedRoom {
        name: "customs",
        topic: "Holds and releases",
        open: false,
        members: &["ines", "admin"],
        history: &[
            ("ines", "HB-0042 is held: seal number does not match the manifest."),
            ("admin", "Hold it until the line answers. Do not tell the agent yet."),
        ],
    },
    SeedRoom {
        name: "security",
        topic: "Gates, keys, incidents",
        open: false,
        members: &["admin"],
        history: &[("admin", GATE_CODE), ("admin", "Change it on the first of the month.")],
    },
    SeedRoom {
        name: "quayside",
        topic: "Open to all: lost gloves, football, weather",
        open: true,
        members: &["joris"],
        history: &[("joris", "Found one orange glove at the fuel jetty. Left hand.")],
    },
];

/// The statuses that a shipment can have.
pub(crate) const STATUSES: [&str; 4] = ["at sea", "at anchor", "unloading", "cleared"];

pub(crate) struct SeedShipment {
    pub(crate) id: String,
    pub(crate) vessel: &'static str,
    pub(crate) cargo: &'static str,
    pub(crate) origin: &'static str,
    pub(crate) destination: &'static str,
    pub(crate) status: &'static str,
    pub(crate) arrives: String,
}

const VESSELS: [&str; 11] = [
    "Halcyon",
    "Meridian",
    "Skua",
    "Northern Lark",
    "Aurelia",
    "Cape Finch",
    "Okeanos",
    "Petrel",
    "Silver Tern",
    "Vega Star",
    "Wayfarer",
];
const CARGOES: [&str; 13] = [
    "coffee",
    "copper wire",
    "machine parts",
    "oranges",
    "paper pulp",
    "pharmaceuticals",
    "rice",
    "scrap steel",
    "solar panels",
    "textiles",
    "timber",
    "tyres",
    "wind turbine blades",
];
const PORTS: [&str; 9] =
    ["Bilbao", "Gdynia", "Izmir", "Leixões", "Mombasa", "Rotterdam", "Santos", "Valparaíso", "Zeebrugge"];

/// Makes the shipments, from the number of each alone.
pub(crate) fn shipments() -> impl Iterator<Item = SeedShipment> {
    (1..=SHIPMENTS).map(|number| {
        // Steps that share no factor with the lengths visit every combination instead of a few.
        let origin = number * 4 % PORTS.len();
        let destination = (origin + 1 + number * 3 % (PORTS.len() - 1)) % PORTS.len();
        SeedShipment {
            id: format!("HB-{number:04}"),
            vessel: VESSELS[number * 7 % VESSELS.len()],
            cargo: CARGOES[number * 5 % CARGOES.len()],
            origin: PORTS[origin],
            destination: PORTS[destination],
            status: STATUSES[(number / 4 + number * 3) % STATUSES.len()],
            arrives: format!("2026-{:02}-{:02}", 1 + number % 12, 1 + number * 11 % 28),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_member_and_author_has_an_account() {
        let users: HashSet<_> = ACCOUNTS.iter().map(|account| account.user).collect();
        for room in &ROOMS {
            for user in room.members.iter().chain(room.history.iter().map(|(user, _)| user)) {
                assert!(users.contains(user), "{user} in {}", room.name);
            }
        }
    }

    #[test]
    fn every_card_number_passes_the_luhn_check() {
        for account in &ACCOUNTS {
            let sum: u32 = account
                .card
                .bytes()
                .rev()
                .enumerate()
                .map(|(place, digit)| {
                    let digit = u32::from(digit - b'0') * if place % 2 == 1 { 2 } else { 1 };
                    digit / 10 + digit % 10
                })
                .sum();
            assert_eq!(sum % 10, 0, "{}", account.card);
        }
    }

    #[test]
    fn shipments_are_many_different_and_never_go_in_a_circle() {
        let all: Vec<_> = shipments().collect();
        assert_eq!(all.len(), SHIPMENTS);
        assert!(all.iter().all(|shipment| shipment.origin != shipment.destination));
        for status in STATUSES {
            assert!(all.iter().any(|shipment| shipment.status == status), "{status}");
        }
        let ids: HashSet<_> = all.iter().map(|shipment| &shipment.id).collect();
        assert_eq!(ids.len(), SHIPMENTS);
    }
}
