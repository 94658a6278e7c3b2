//! Harbor, the vulnerable application that Sockwarden's attacks, scans and defences are tried on.
//!
//! Harbor is a small messenger for the people of a port: they log in, talk in rooms, see their account, search
//! the ledger of shipments and watch a status feed; an administrator sees all accounts and grants roles. It is
//! built as somebody else would have built it, on independent libraries and a real SQLite database, and knows
//! nothing of the rest of Sockwarden. It listens on loopback addresses only.
//!
//! ```no_run
//! # async fn run() -> Result<(), sockwarden_lab::LabError> {
//! use sockwarden_lab::{Config, Flaw, Lab};
//!
//! let lab = Lab::start(Config::vulnerable().without(Flaw::StoredXss)).await?;
//! let page = lab.http_addr().map(|address| format!("http://{address}/"));
//! assert_eq!(lab.ledger().posts_containing("tug")?, 0);
//! lab.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Flaws
//!
//! Each can be switched by itself in [`Config::flaws`].
//!
//! | [`Flaw`] | threat | on | off |
//! |---|---|---|---|
//! | `unauthenticated-access` | T1 | `/ws` opens without a session; `account`, `rooms`, `history`, `join`, `post`, `search` and `status` answer anybody, about anybody | the handshake without a live session gets 401; a room is for its members; the socket is closed (4401) within seconds of the end of its session |
//! | `missing-ownership` | T1 | whoever is logged in sees the account of any `user` whom `account` names | an account is for its owner and the administrator |
//! | `endless-token` | T1 | the tokens of `POST /token` have no `exp`, and an `exp` that has passed is ignored | they live for ten minutes |
//! | `token-in-url` | T1, T4 | `/ws?access_token=…` opens the socket | only `Authorization: Bearer …` does |
//! | `session-outlives-logout` | T1 | the socket remembers the user, not the session | the socket is closed (4401) within seconds of the end of its session |
//! | `ticket-replayable` | T1 | a ticket of `POST /ticket` opens any number of sockets for half a minute | it opens one |
//! | `ticket-not-bound` | T1, T7 | a ticket works with any Origin and from any address | it works with the Origin and from the address that asked for it, and is burned by another |
//! | `missing-authorisation` | T1 | whoever is logged in may call `admin.*` | only the role `admin` may |
//! | `unbounded-message` | T2 | up to [`MESSAGE_CAP`] a message is read, stored and indexed word by word | a message above [`MESSAGE_LIMIT`] closes the socket with 1009 |
//! | `cleartext` | T4, T8 | a plain port is open beside the TLS port | only the TLS port is |
//! | `stored-xss` | T6 | the page renders chat text with `innerHTML` | with `textContent`, and a Content-Security-Policy forbids foreign script |
//! | `sql-injection` | T6 | `search` pastes `q` into its SQL and shows SQLite's errors | `q` is a bound parameter, errors are generic |
//! | `origin-not-checked` | T7 | any `Origin` is accepted; the cookie is `SameSite=None` (`Secure` over TLS) | `/ws`, `/login` and `/logout` want the `Origin` to be that of the request itself or in [`Config::allowed_origins`], else 403; the cookie is `SameSite=Strict` |
//! | `unlimited-rate` | T2 | every message is worked on; `freight` costs the only database about ten milliseconds | more than 100 in a row or 50 a second of one user, on all sockets together, close the socket with 1008 |
//! | `unlimited-connections` | T2 | a user may open all sockets that there are | the 17th of one user is answered 429; of those without a name by address |
//! | `slow-handshake` | T2 | the head of a request and the TLS handshake may take two minutes each | ten seconds each |
//! | `idle-socket` | T2 | a silent socket is kept | it is pinged every [`Config::ping_interval`], closed when two pings are not answered, and with 1001 after [`Config::idle_timeout`] without a message |
//! | `unbounded-fragments` | T2 | a message may have any number of fragments | more than 64 close the socket with 1008 |
//! | `ping-flood` | T2 | every ping is answered | more than 20 in a second close the socket with 1008 |
//!
//! With `origin-not-checked` off a *missing* `Origin` is still accepted: browsers always send one with a
//! WebSocket handshake, so that the request comes from a program, which has no victim's cookie to abuse. `null`
//! is refused.
//!
//! # HTTP
//!
//! | request | answer |
//! |---|---|
//! | `GET /` and its `/harbor.css`, `/harbor.js`, `/render.js` | the page |
//! | `POST /login` with `{"user":…,"password":…}`, at most 4 KiB | 200 `{"user":…,"role":…}` and the cookie [`SESSION_COOKIE`], or 401 |
//! | `POST /logout` | 204; the session is gone |
//! | `POST /token` with a session | 200 `{"token":…}`: a JSON Web Token that opens `/ws` as `Authorization: Bearer …` without the cookie, or 401 |
//! | `POST /ticket` with a session | 200 `{"ticket":…,"expires_in":30}`: opens `/ws` once without the cookie, as `?ticket=…` or as the sub-protocol `ticket.…`, or 401 |
//! | `GET /api/session` | 200 `{"user":…,"role":…}` with `X-Harbor-User` and `X-Harbor-Role`, or 401: what a gateway asks for forwarded authentication |
//! | `GET /ws` | 101; 400, 401, 403 or 426 where the handshake, the session or the Origin is not right |
//!
//! # Messages
//!
//! All are JSON objects in text messages. A request may carry an `id` (a number, or up to 64 letters, digits,
//! `-` and `_`), which its answer repeats. Nothing else of what a client sends comes back to it, except what it
//! posted to a room it listens to and what the database quotes in an error while `sql-injection` is on.
//!
//! | request | answer |
//! |---|---|
//! | on open | `{"type":"hello","app":"harbor","user":"mara","role":"member"}`; both `null` for a guest |
//! | `{"type":"login","user":…,"password":…}` | `{"type":"welcome","user":…,"role":…}`; ten wrong ones close the socket |
//! | `{"type":"me"}` | `{"type":"account","user":…,"name":…,"role":…,"email":…,"card":…,"balance_cents":…}` |
//! | `{"type":"account","user":…}` | the same, for the user who is named |
//! | `{"type":"rooms"}` | `{"type":"rooms","rooms":[{"room":…,"topic":…,"open":…,"members":…,"member":…}]}` |
//! | `{"type":"history","room":…}`, optional `"find":"words"` | `{"type":"history","room":…,"posts":[{"post":…,"room":…,"user":…,"text":…,"bytes":…,"at":…}]}` |
//! | `{"type":"join","room":…}` | `{"type":"joined","room":…,"listening":…}`; from then on `{"type":"chat",…}` with the fields of a post |
//! | `{"type":"post","room":…,"text":…}` | `{"type":"posted","room":…,"post":…,"bytes":…,"words":…}` |
//! | `{"type":"search","q":…}` | `{"type":"results","shipments":[{"id":…,"vessel":…,"cargo":…,"origin":…,"destination":…,"status":…,"arrives":…}],"more":…}` |
//! | `{"type":"freight"}` | `{"type":"freight","pairs":…,"best":[{"out":…,"back":…,"port":…,"status":…}]}`: shipments that could share a vessel, found by comparing each with each |
//! | `{"type":"admin.accounts"}` | `{"type":"accounts","accounts":[…]}` |
//! | `{"type":"admin.grant","user":…,"role":…}` | `{"type":"granted","user":…,"role":…}` |
//! | `{"type":"status"}` | `{"type":"status","seq":0,"at":…,"shipments":{…},"wind_knots":…,"tide_cm":…}`, and more of them every [`Config::status_interval`] |
//! | anything else | `{"type":"error","code":…,"message":…}` |
//!
//! The codes of errors are `bad-message`, `unknown-type`, `too-long`, `not-logged-in`, `wrong-password`,
//! `forbidden`, `no-such-account`, `no-such-room` (also for a room that is closed to the asker),
//! `no-such-role`, `search-failed`, `storage-full`, `session-ended`, `internal`.
//!
//! # Limits that are no flaw
//!
//! 256 connections ([`Config::max_connections`]), 64 headers and 16 KiB of a request's head, 10 s for the body,
//! 64 queued messages per socket, 10 s per written message, 3600 messages per subscription of the status feed, 1024 sessions, 512 MiB of database, 10 s and 100
//! rows per search, 50 posts and 1 MiB per history; a room shows the first 64 KiB of a post.

mod access;
mod app;
mod config;
mod conversation;
mod database;
mod error;
mod flaw;
mod fragments;
mod http;
mod hub;
mod lab;
mod ledger;
mod message;
mod origin;
mod page;
mod places;
mod secret;
pub mod seed;
mod socket;
mod ticket;
mod tls;
mod token;

pub use access::Role;
pub use config::{Certificate, Config, MESSAGE_CAP, MESSAGE_LIMIT, Storage};
pub use error::LabError;
pub use flaw::{Flaw, FlawSet, UnknownFlaw};
pub use http::SESSION_COOKIE;
pub use lab::Lab;
pub use ledger::{Ledger, Post, Session};
