//! What a policy over operations must know of the message that is being told, whatever the policy.

use sockwarden_inspect::{Anomaly, Format, Operation, Place};
use sockwarden_model::{Direction, printable};

use crate::defences::is_guessed;

/// What was gathered of one side's message so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reading {
    recognised: bool,
}

impl Reading {
    /// Forgets the last message, which may have been stopped before its end.
    pub(crate) fn begin(&mut self) {
        self.recognised = false;
    }

    /// Takes note that it is known what the message does.
    pub(crate) fn recognised(&mut self) {
        self.recognised = true;
    }

    /// Tells whether a message that is told to its end may have done something which nobody judged. A piece of a packet does nothing
    /// before the packet's end has come, which is judged then.
    pub(crate) fn is_unknown(self, goes_on: bool) -> bool {
        !self.recognised && !goes_on
    }
}

/// The readings of both sides' messages.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Readings {
    client: Reading,
    server: Reading,
}

impl Readings {
    /// Gives the one of this side.
    pub(crate) fn of(&mut self, direction: Direction) -> &mut Reading {
        match direction {
            Direction::Client => &mut self.client,
            Direction::Server => &mut self.server,
        }
    }
}

/// Tells whether a receiver may find another operation in the message than the one that is judged.
pub(crate) fn is_ambiguous(anomaly: Anomaly, place: Place<'_>) -> bool {
    match anomaly {
        Anomaly::Malformed { format: Format::GraphQl, .. }
        | Anomaly::Bound(_)
        | Anomaly::DuplicateKey
        | Anomaly::XmlDeclaration
        | Anomaly::Breach(..) => true,
        // What was only taken for an encoding holds no operation.
        Anomaly::Malformed { .. }
        | Anomaly::Doubtful { .. }
        | Anomaly::TrailingData(_)
        | Anomaly::LoneSurrogate
        | Anomaly::InvalidUtf8
        | Anomaly::KeyOfOtherKind
        | Anomaly::Reserved(_)
        | Anomaly::NotCanonical(_) => !is_guessed(place),
        Anomaly::BigNumber | Anomaly::NulCharacter => false,
    }
}

/// Says what an operation does, for the operator.
pub(crate) fn described(operation: &Operation<'_>) -> String {
    let Operation { protocol, action, name, subject, id: _ } = operation;
    let mut text = format!("{protocol}: {}", action.name());
    if let Some(name) = name {
        text += &format!(" `{}`", printable(name.as_bytes(), 100));
    }
    if let Some(subject) = subject {
        text += &format!(" on `{}`", printable(subject.as_bytes(), 100));
    }
    text
}
