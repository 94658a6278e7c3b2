//! Who is let in, and how often: the places that a connection takes, and those of the session that it becomes.

use std::net::IpAddr;

use sockwarden_model::{Limit, Notice};

use crate::{
    admission::{AddressPlace, Admitted, SessionPlaces, party},
    answer::{Answer, retry_after},
    build::{Built, Route},
    client_address::ProxiesConfig,
    connection::{Client, Shared},
    journal::notice,
};

/// What a connection holds from its first moment to its last.
#[derive(Debug)]
pub(crate) struct Places {
    _connection: Admitted,
    /// Absent while it is not known whose connection it is.
    pub(crate) address: Option<AddressPlace>,
}

impl Shared {
    /// Takes a connection in; where it is a client's own, it counts for its address, too.
    pub(crate) fn let_in(&self, proxies: &ProxiesConfig, ip: IpAddr) -> Result<Places, Limit> {
        let built = self.built.load();
        let connection = self.admission.enter(&self.budget(&built))?;
        let address = if proxies.is_proxy(ip) { None } else { Some(self.stand(&built, ip)?) };
        Ok(Places { _connection: connection, address })
    }

    /// Takes a place for a new connection of an address.
    pub(crate) fn stand(&self, built: &Built, ip: IpAddr) -> Result<AddressPlace, Limit> {
        let place = self.admission.stand(ip, &built.limits.per_address)?;
        built.comings.connection(ip, self.begun.elapsed())?;
        Ok(place)
    }

    /// Counts a connection that is let in no further, and says so now and then.
    pub(crate) fn turned_away(&self, limit: Limit) {
        self.tally.exceeded(None, limit);
        self.complain(limit);
    }

    /// Says now and then that connections are turned away.
    fn complain(&self, limit: Limit) {
        if let Some(count) = self.admission.note(limit, self.begun.elapsed()) {
            let detail = format!("{}: {count} turned away since this was last said", limit.label());
            notice(&self.events, Notice::TurningAway, detail);
        }
    }
}

impl Client {
    /// Takes a place among the connections of whose request it is, where a proxy brings it.
    pub(crate) fn stand(&mut self, shared: &Shared, built: &Built) -> Result<(), Answer> {
        let ip = self.peer.ip();
        if self.proxies.is_proxy(ip) {
            // It speaks for nobody else, and does so for all: nobody is told apart by its address.
            self.places.address = None;
            return Ok(());
        }
        if self.places.address.as_ref().is_some_and(|place| *place.key() == party(ip)) {
            return Ok(());
        }
        self.places.address = None;
        let place = shared.admission.stand(ip, &built.limits.per_address).map_err(|limit| {
            let most = built.limits.per_address.connections;
            let reason =
                format!("the address has {most} connections, as many as `limits.per_address` allows");
            self.refuse_beyond(shared, limit, &reason, "there are too many connections from this address")
        })?;
        self.places.address = Some(place);
        Ok(())
    }

    /// Refuses while those who are there already hold as much memory as there may be.
    pub(crate) fn find_room(&self, shared: &Shared, built: &Built) -> Result<(), Answer> {
        let room = shared.admission.may_begin(&shared.budget(built));
        room.map_err(|limit| {
            let reason = "sessions hold as much memory as `limits.memory` allows";
            self.refuse_beyond(shared, limit, reason, "there is no room now; come back later")
        })
    }

    /// Refuses who asks for too many upgrades in too little time.
    pub(crate) fn come(&self, shared: &Shared, built: &Built) -> Result<(), Answer> {
        if self.proxies.is_proxy(self.peer.ip()) {
            return Ok(());
        }
        built.comings.handshake(self.peer.ip(), shared.begun.elapsed()).map_err(|wait| {
            let most = built.limits.per_address.handshakes_per_second;
            let reason = format!("the address asks for more than {most} upgrades in a second");
            let told = "too many connections are asked for from this address";
            self.refuse_beyond(shared, Limit::AddressHandshakeRate, &reason, told).with(&retry_after(wait))
        })
    }

    /// Takes a session's places among those of its user and of its route.
    pub(crate) fn sit(
        &self,
        shared: &Shared,
        route: &Route,
        user: Option<&str>,
    ) -> Result<SessionPlaces, Answer> {
        let limits = &route.config().connection_limits;
        shared.admission.sit(&route.name, user, limits).map_err(|limit| {
            let (reason, told) = if limit == Limit::UserConnections {
                ("the user has as many sessions as `per_user` allows", "this user has too many connections")
            } else {
                ("the route has as many sessions as it may", "there is no room now; come back later")
            };
            self.refuse_beyond(shared, limit, reason, told)
        })
    }

    /// Refuses because a limit is exceeded that no defence keeps, and says so now and then.
    pub(crate) fn refuse_beyond(&self, shared: &Shared, limit: Limit, reason: &str, told: &str) -> Answer {
        shared.complain(limit);
        self.beyond(limit, reason.to_owned(), told)
    }

    /// Refuses because a limit is exceeded.
    pub(crate) fn beyond(&self, limit: Limit, reason: String, told: &str) -> Answer {
        let id = self.journal.exceeded(limit, None, reason);
        Answer::new(limit.beyond().status(), format!("Refused: {told}.\nEvent: {id}"))
    }
}
