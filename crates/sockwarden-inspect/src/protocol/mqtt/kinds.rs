//! The packets of MQTT, who sends them and which reasons they may give (5 §2.1.2, §2.4; 3.1.1 §2.2.1).

use sockwarden_model::Direction;

use crate::Action;

/// The version of the protocol: the protocol level of CONNECT.
pub(super) type Version = u8;

/// A type of packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Connect = 1,
    ConnAck,
    Publish,
    PubAck,
    PubRec,
    PubRel,
    PubComp,
    Subscribe,
    SubAck,
    Unsubscribe,
    UnsubAck,
    PingReq,
    PingResp,
    Disconnect,
    Auth,
}

impl Kind {
    const ALL: [Self; 15] = [
        Self::Connect,
        Self::ConnAck,
        Self::Publish,
        Self::PubAck,
        Self::PubRec,
        Self::PubRel,
        Self::PubComp,
        Self::Subscribe,
        Self::SubAck,
        Self::Unsubscribe,
        Self::UnsubAck,
        Self::PingReq,
        Self::PingResp,
        Self::Disconnect,
        Self::Auth,
    ];

    /// Gives the type of a number; 15 is new in 5.
    pub(super) fn of(number: u8, version: Version) -> Option<Self> {
        let kind = *Self::ALL.get(usize::from(number).checked_sub(1)?)?;
        (kind != Self::Auth || version >= 5).then_some(kind)
    }

    /// Tells whether a side may send it.
    pub(super) fn may_come_from(self, sender: Direction, version: Version) -> bool {
        match self {
            Self::Connect | Self::Subscribe | Self::Unsubscribe | Self::PingReq => {
                sender == Direction::Client
            }
            Self::ConnAck | Self::SubAck | Self::UnsubAck | Self::PingResp => sender == Direction::Server,
            Self::Disconnect => sender == Direction::Client || version >= 5,
            Self::Publish | Self::PubAck | Self::PubRec | Self::PubRel | Self::PubComp | Self::Auth => true,
        }
    }

    /// Tells whether the flags of its fixed header are those it must have.
    pub(super) fn may_have(self, flags: u8, version: Version) -> bool {
        match self {
            // QoS 3 does not exist, and what is sent at most once is never a duplicate.
            Self::Publish => flags & 0b110 != 0b110 && (flags & 0b1000 == 0 || flags & 0b110 != 0),
            // 3.1 marks what is sent again.
            Self::PubRel | Self::Subscribe | Self::Unsubscribe => {
                flags == 0b0010 || version < 4 && flags == 0b1010
            }
            Self::Connect
            | Self::ConnAck
            | Self::PubAck
            | Self::PubRec
            | Self::PubComp
            | Self::SubAck
            | Self::UnsubAck
            | Self::PingReq
            | Self::PingResp
            | Self::Disconnect
            | Self::Auth => flags == 0,
        }
    }

    /// Tells whether it may give this reason.
    pub(super) fn may_give(self, reason: u8, version: Version) -> bool {
        let listed: &[u8] = match (self, version) {
            (Self::ConnAck, ..5) => &[0, 1, 2, 3, 4, 5],
            (Self::SubAck, ..5) => &[0, 1, 2, 0x80],
            (Self::ConnAck, _) => &[
                0, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97,
                0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f,
            ],
            (Self::PubAck | Self::PubRec, _) => &[0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99],
            (Self::PubRel | Self::PubComp, _) => &[0, 0x92],
            (Self::SubAck, _) => &[0, 1, 2, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2],
            (Self::UnsubAck, _) => &[0, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91],
            (Self::Disconnect, _) => &[
                0, 4, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95,
                0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
            ],
            (Self::Auth, _) => &[0, 0x18, 0x19],
            (
                Self::Connect
                | Self::Publish
                | Self::Subscribe
                | Self::Unsubscribe
                | Self::PingReq
                | Self::PingResp,
                _,
            ) => &[],
        };
        listed.contains(&reason)
    }

    /// What it does. What a server publishes is a delivery.
    pub(super) fn action(self, sender: Direction) -> Action {
        match self {
            Self::Connect => Action::Connect,
            Self::ConnAck => Action::Connected,
            Self::Publish if sender == Direction::Server => Action::Deliver,
            Self::Publish => Action::Publish,
            Self::PubAck | Self::PubRec | Self::PubRel | Self::PubComp | Self::SubAck | Self::UnsubAck => {
                Action::Acknowledge
            }
            Self::Subscribe => Action::Subscribe,
            Self::Unsubscribe => Action::Unsubscribe,
            Self::PingReq | Self::PingResp => Action::KeepAlive,
            Self::Disconnect => Action::Disconnect,
            Self::Auth => Action::Event,
        }
    }
}
