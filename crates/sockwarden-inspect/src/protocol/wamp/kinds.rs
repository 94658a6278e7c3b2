//! The messages of WAMP: who sends them, what stands in them and what they are about.

use sockwarden_model::Direction;

use crate::Action;

/// What an element must be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Id,
    /// The type of the request that failed.
    Type,
    /// A name in parts between dots.
    Uri,
    /// Such a name, or null where the router is to choose.
    Realm,
    Text,
    Dict,
}

/// A type of message.
pub(super) struct Kind {
    pub(super) number: &'static str,
    pub(super) name: &'static str,
    /// Who sends it; either side where there is none.
    pub(super) sender: Option<Direction>,
    pub(super) action: Action,
    /// The elements behind the type.
    pub(super) wanted: &'static [Wanted],
    /// What may follow.
    pub(super) tail: Tail,
    pub(super) subject: Subject,
}

/// What may follow the elements that must be there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    Nothing,
    /// A list of arguments, and then an object of them.
    Payload,
    /// An object that says more.
    Details,
}

/// Where the subject of a message is taken from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Nothing,
    /// The element of this number.
    At(usize),
    /// It stands there, and answers refer back to it by the request: what they are for.
    Asked(usize, For),
    /// What the request asked for; it is settled.
    Of(For),
    /// What the request asked for, and a new id stands for it from now on.
    Given(For, For),
    /// What this id (the element of this number) stands for.
    Standing(usize, For),
}

/// What an id stands for: ids of different kinds are numbered apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    Call,
    Subscribe,
    Register,
    Subscription,
    Registration,
    Invocation,
    /// A subscription that is being given up, by the request for that.
    Leaving,
    /// A registration that is being given up.
    Retiring,
}

pub(super) const CLIENT: Option<Direction> = Some(Direction::Client);
pub(super) const ROUTER: Option<Direction> = Some(Direction::Server);

const fn kind(
    number: &'static str,
    name: &'static str,
    sender: Option<Direction>,
    action: Action,
    wanted: &'static [Wanted],
    tail: Tail,
    subject: Subject,
) -> Kind {
    Kind { number, name, sender, action, wanted, tail, subject }
}

pub(super) static KINDS: [Kind; 25] = {
    use Action::{Acknowledge, Call, Connect, Connected, Deliver, Disconnect, Error, Event, Publish, Reply};
    use Subject::{Asked, At, Given, Nothing, Of, Standing};
    use Tail::{Details, Payload};
    use Wanted::{Dict, Id, Realm, Text, Type, Uri};
    const NONE: Tail = Tail::Nothing;
    [
        kind("1", "HELLO", CLIENT, Connect, &[Realm, Dict], NONE, At(1)),
        kind("2", "WELCOME", ROUTER, Connected, &[Id, Dict], NONE, Nothing),
        kind("3", "ABORT", None, Error, &[Dict, Uri], Payload, Nothing),
        kind("4", "CHALLENGE", ROUTER, Call, &[Text, Dict], NONE, Nothing),
        kind("5", "AUTHENTICATE", CLIENT, Reply, &[Text, Dict], NONE, Nothing),
        kind("6", "GOODBYE", None, Disconnect, &[Dict, Uri], Payload, Nothing),
        kind("8", "ERROR", None, Error, &[Type, Id, Dict, Uri], Payload, Nothing),
        kind("16", "PUBLISH", CLIENT, Publish, &[Id, Dict, Uri], Payload, At(3)),
        kind("17", "PUBLISHED", ROUTER, Acknowledge, &[Id, Id], NONE, Nothing),
        kind("32", "SUBSCRIBE", CLIENT, Action::Subscribe, &[Id, Dict, Uri], NONE, Asked(3, For::Subscribe)),
        kind(
            "33",
            "SUBSCRIBED",
            ROUTER,
            Acknowledge,
            &[Id, Id],
            NONE,
            Given(For::Subscribe, For::Subscription),
        ),
        kind(
            "34",
            "UNSUBSCRIBE",
            CLIENT,
            Action::Unsubscribe,
            &[Id, Id],
            NONE,
            Standing(2, For::Subscription),
        ),
        kind("35", "UNSUBSCRIBED", ROUTER, Acknowledge, &[Id], Details, Nothing),
        kind("36", "EVENT", ROUTER, Deliver, &[Id, Id, Dict], Payload, Standing(1, For::Subscription)),
        kind("48", "CALL", CLIENT, Call, &[Id, Dict, Uri], Payload, Asked(3, For::Call)),
        kind("49", "CANCEL", CLIENT, Event, &[Id, Dict], NONE, Standing(1, For::Call)),
        kind("50", "RESULT", ROUTER, Reply, &[Id, Dict], Payload, Of(For::Call)),
        kind("64", "REGISTER", CLIENT, Action::Subscribe, &[Id, Dict, Uri], NONE, Asked(3, For::Register)),
        kind(
            "65",
            "REGISTERED",
            ROUTER,
            Acknowledge,
            &[Id, Id],
            NONE,
            Given(For::Register, For::Registration),
        ),
        kind(
            "66",
            "UNREGISTER",
            CLIENT,
            Action::Unsubscribe,
            &[Id, Id],
            NONE,
            Standing(2, For::Registration),
        ),
        kind("67", "UNREGISTERED", ROUTER, Acknowledge, &[Id], Details, Nothing),
        kind("68", "INVOCATION", ROUTER, Call, &[Id, Id, Dict], Payload, Standing(2, For::Registration)),
        kind("69", "INTERRUPT", ROUTER, Event, &[Id, Dict], NONE, Standing(1, For::Invocation)),
        kind("70", "YIELD", CLIENT, Reply, &[Id, Dict], Payload, Of(For::Invocation)),
        // An extension of one router and its clients.
        kind("337", "EVENT_RECEIVED", CLIENT, Acknowledge, &[Id], NONE, Nothing),
    ]
};
