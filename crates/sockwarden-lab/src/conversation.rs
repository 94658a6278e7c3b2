//! What one client and Harbor say to each other: requests in, replies out, whoever carries them.

use std::borrow::Cow;
use std::f64::consts::TAU;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::access::{self, Person, Standing};
use crate::app::App;
use crate::database::rooms::{self, ShownPost};
use crate::database::{QueryError, accounts, sessions, shipments, unix_now};
use crate::flaw::Flaw;
use crate::hub::SocketId;
use crate::message::{self, Correlation, Credentials, ErrorCode, MAX_PASSWORD, Reply, Request};

/// How many wrong passwords one socket may try.
const MAX_WRONG_PASSWORDS: u32 = 10;

/// How many messages of the status feed one subscription brings; the client may subscribe again.
const FEED_LENGTH: u64 = 3600;

/// As whom a client speaks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Who {
    Nobody,
    /// The holder of the session with this fingerprint, for as long as it lives.
    Session(String),
    /// A user who logged in over the socket.
    User(String),
}

/// Why the server ends a conversation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    SessionEnded,
    TooManyWrongPasswords,
}

/// One client's side of the application.
pub(crate) struct Conversation {
    app: Arc<App>,
    socket: SocketId,
    queue: mpsc::Sender<Utf8Bytes>,
    who: Who,
    wrong_passwords: u32,
    /// The number of the next message of the status feed, while there is one.
    feed: Option<u64>,
}

impl Conversation {
    /// Starts a conversation; what others say arrives in `queue`.
    pub(crate) fn new(app: Arc<App>, queue: mpsc::Sender<Utf8Bytes>, who: Who) -> Self {
        let socket = app.hub.new_socket();
        Self { app, socket, queue, who, wrong_passwords: 0, feed: None }
    }

    /// Returns the first message, which says whom Harbor takes the client for.
    pub(crate) async fn hello(&mut self) -> String {
        let person = self.person().await.ok().flatten();
        let role = person.as_ref().map(|person| person.role);
        Reply::Hello { app: "harbor", user: person.map(|person| person.user), role }.to_json(None)
    }

    /// Answers a message.
    pub(crate) async fn answer(&mut self, text: &str) -> (String, Option<Ending>) {
        let (id, request) = message::read(text);
        let reply = match self.still_welcome().await {
            Ok(()) => match request {
                Ok(request) => self.carry_out(request).await,
                Err(code) => Err(code),
            },
            Err(code) => Err(code),
        };
        let ending = match reply {
            Err(ErrorCode::SessionEnded) => Some(Ending::SessionEnded),
            Err(_) if self.wrong_passwords >= MAX_WRONG_PASSWORDS => Some(Ending::TooManyWrongPasswords),
            Err(_) | Ok(_) => None,
        };
        (reply.unwrap_or_else(Reply::from).to_json(id.as_ref()), ending)
    }

    /// Tells whether the session that the client came with has ended and nothing else lets it stay.
    pub(crate) async fn has_ended(&mut self) -> bool {
        self.still_welcome().await == Err(ErrorCode::SessionEnded)
    }

    /// Tells whether the client gets the status feed.
    pub(crate) fn has_feed(&self) -> bool {
        self.feed.is_some()
    }

    /// Returns the next message of the status feed.
    pub(crate) async fn next_status(&mut self) -> Option<String> {
        let seq = self.feed?;
        // A reading that fails leaves a gap in the numbers, and the feed goes on.
        let status = self.status(seq).await.ok()?;
        Some(status.to_json(None::<&Correlation>))
    }

    async fn still_welcome(&mut self) -> Result<(), ErrorCode> {
        if matches!(self.who, Who::Session(_)) && self.person().await?.is_none() {
            if !self.app.has(Flaw::UnauthenticatedAccess) {
                return Err(ErrorCode::SessionEnded);
            }
            self.who = Who::Nobody;
        }
        Ok(())
    }

    /// Returns who speaks, with the role of this moment.
    async fn person(&self) -> Result<Option<Person>, QueryError> {
        match self.who.clone() {
            Who::Nobody => Ok(None),
            Who::Session(fingerprint) => {
                self.app
                    .database
                    .run(move |connection| sessions::holder(connection, &fingerprint, unix_now()))
                    .await
            }
            Who::User(user) => {
                self.app
                    .database
                    .run(move |connection| {
                        Ok(accounts::role_of(connection, &user)?.map(|role| Person { user, role }))
                    })
                    .await
            }
        }
    }

    async fn carry_out(&mut self, request: Request<'_>) -> Result<Reply, ErrorCode> {
        let person = self.person().await?;
        let who = person.as_ref();
        match request {
            Request::LogIn(credentials) => self.log_in(credentials).await,
            Request::Me => {
                let user = who.ok_or(ErrorCode::NotLoggedIn)?.user.clone();
                self.account(user).await
            }
            Request::Account { user } => {
                access::may_see_account(who, &user, self.app.config.flaws)?;
                self.account(user.into_owned()).await
            }
            Request::Rooms => self.rooms(who).await,
            Request::History { room, find } => {
                self.enter(who, &room).await?;
                self.history(room.into_owned(), find.map(Cow::into_owned)).await
            }
            Request::Join { room } => {
                let standing = self.enter(who, &room).await?;
                self.join(who, room.into_owned(), standing).await
            }
            Request::Post { room, text } => {
                self.enter(who, &room).await?;
                let user = person.map_or_else(|| "guest".to_owned(), |person| person.user);
                self.post(room.into_owned(), user, text.into_owned()).await
            }
            Request::Search { q } => {
                access::may_ask(who, self.app.config.flaws)?;
                self.search(q.into_owned()).await
            }
            Request::Freight => {
                access::may_ask(who, self.app.config.flaws)?;
                let mut found = self.app.database.run(shipments::pairs).await?;
                let pairs = found.len();
                found.truncate(shipments::MAX_PAIRS);
                Ok(Reply::Freight { pairs, best: found })
            }
            Request::Accounts => {
                access::may_administer(who, self.app.config.flaws)?;
                let accounts = self.app.database.run(|connection| accounts::accounts(connection)).await?;
                Ok(Reply::Accounts { accounts })
            }
            Request::Grant { user, role } => {
                access::may_administer(who, self.app.config.flaws)?;
                let user = user.into_owned();
                let named = user.clone();
                let found = self
                    .app
                    .database
                    .run(move |connection| accounts::grant(connection, &named, role))
                    .await?;
                if found { Ok(Reply::Granted { user, role }) } else { Err(ErrorCode::NoSuchAccount) }
            }
            Request::Status => {
                access::may_ask(who, self.app.config.flaws)?;
                self.status(0).await
            }
        }
    }

    async fn log_in(&mut self, credentials: Credentials<'_>) -> Result<Reply, ErrorCode> {
        let Credentials { user, password } = credentials;
        let (user, password) = (user.into_owned(), password.into_owned());
        let person = if password.len() > MAX_PASSWORD {
            None
        } else {
            self.app.database.run(move |connection| accounts::log_in(connection, &user, &password)).await?
        };
        let Some(Person { user, role }) = person else {
            self.wrong_passwords += 1;
            return Err(ErrorCode::WrongPassword);
        };
        // What the former user listened to is not the new one's.
        self.app.hub.leave(self.socket);
        self.who = Who::User(user.clone());
        self.wrong_passwords = 0;
        Ok(Reply::Welcome { user, role })
    }

    async fn account(&self, user: String) -> Result<Reply, ErrorCode> {
        let account = self.app.database.run(move |connection| accounts::account(connection, &user)).await?;
        account.map(Reply::Account).ok_or(ErrorCode::NoSuchAccount)
    }

    async fn rooms(&self, who: Option<&Person>) -> Result<Reply, ErrorCode> {
        let flaws = self.app.config.flaws;
        access::may_ask(who, flaws)?;
        let user = who.map(|person| person.user.clone());
        let mut rooms =
            self.app.database.run(move |connection| rooms::rooms(connection, user.as_deref())).await?;
        rooms.retain(|room| access::may_enter(who, room.standing(), flaws).is_ok());
        Ok(Reply::Rooms { rooms })
    }

    /// Checks that the client may use a room; a room that is closed to it looks as if it did not exist.
    async fn enter(&self, who: Option<&Person>, room: &str) -> Result<Standing, ErrorCode> {
        let flaws = self.app.config.flaws;
        access::may_ask(who, flaws)?;
        let (room, user) = (room.to_owned(), who.map(|person| person.user.clone()));
        let standing = self
            .app
            .database
            .run(move |connection| rooms::standing(connection, &room, user.as_deref()))
            .await?
            .ok_or(ErrorCode::NoSuchRoom)?;
        access::may_enter(who, standing, flaws).map_err(|_| ErrorCode::NoSuchRoom)?;
        Ok(standing)
    }

    async fn history(&self, room: String, find: Option<String>) -> Result<Reply, ErrorCode> {
        let asked = room.clone();
        let posts = self
            .app
            .database
            .run(move |connection| rooms::history(connection, &asked, find.as_deref()))
            .await?;
        Ok(Reply::History { room, posts })
    }

    async fn join(&self, who: Option<&Person>, room: String, standing: Standing) -> Result<Reply, ErrorCode> {
        if let (Some(person), Standing::Welcome) = (who, standing) {
            let (room, user) = (room.clone(), person.user.clone());
            self.app.database.run(move |connection| rooms::enrol(connection, &room, &user)).await?;
        }
        let listening = self.app.hub.join(&room, self.socket, self.queue.clone());
        Ok(Reply::Joined { room, listening })
    }

    async fn post(&self, room: String, user: String, text: String) -> Result<Reply, ErrorCode> {
        let now = unix_now();
        let (posted, mut shown) = self
            .app
            .database
            .run(move |connection| {
                let posted = rooms::post(connection, &room, &user, &text, now)?;
                let bytes = text.len();
                Ok((posted, ShownPost { post: posted.post, room, user, text, bytes, at: now }))
            })
            .await?;
        rooms::cut(&mut shown.text);
        let (room, bytes) = (shown.room.clone(), shown.bytes);
        self.app.hub.broadcast(&room, &Reply::Chat(shown).to_json(None).into());
        Ok(Reply::Posted { room, post: posted.post, bytes, words: posted.words })
    }

    async fn search(&self, query: String) -> Result<Reply, ErrorCode> {
        let injectable = self.app.has(Flaw::SqlInjection);
        let found = self
            .app
            .database
            .run(move |connection| {
                if injectable {
                    shipments::search_by_concatenation(connection, &query)
                } else {
                    shipments::search(connection, &query)
                }
            })
            .await;
        match found {
            Ok(found) => Ok(Reply::Results { shipments: found.shipments, more: found.more }),
            Err(error) if injectable => {
                Ok(Reply::Error { code: ErrorCode::SearchFailed, message: Cow::Owned(error.to_string()) })
            }
            Err(_) => Err(ErrorCode::SearchFailed),
        }
    }

    /// Takes the readings, and arms the feed for the number after `seq`.
    async fn status(&mut self, seq: u64) -> Result<Reply, ErrorCode> {
        self.feed = (seq + 1 < FEED_LENGTH).then_some(seq + 1);
        let at = unix_now();
        let shipments = self.app.database.run(|connection| shipments::by_status(connection)).await?;
        // High water comes every 12 h 25 min; the wind changes by the minute.
        let tide_cm = (150.0 * (TAU * (at % 44_700) as f64 / 44_700.0).sin()) as i64;
        let wind_knots = 8 + (at / 60 * 7) % 13;
        Ok(Reply::Status { seq, at, shipments, wind_knots, tide_cm })
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.app.hub.leave(self.socket);
    }
}

impl From<QueryError> for ErrorCode {
    fn from(error: QueryError) -> Self {
        if error.is_full() { Self::StorageFull } else { Self::Internal }
    }
}

impl rooms::Room {
    fn standing(&self) -> Standing {
        match (self.member, self.open) {
            (true, _) => Standing::Member,
            (false, true) => Standing::Welcome,
            (false, false) => Standing::Stranger,
        }
    }
}
