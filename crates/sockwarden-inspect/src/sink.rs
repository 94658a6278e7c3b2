//! Who is told what a message holds.

use crate::{Anomaly, Operation, Place, Value};

/// Is told what a message holds, in the order in which it stands there.
///
/// Operations come after the values of the part of the message that they stand for: what an envelope is called may be its last member.
pub trait Sink {
    /// Takes a value.
    fn value(&mut self, value: &Value<'_>);

    /// Takes an operation of the sub-protocol.
    fn operation(&mut self, operation: &Operation<'_>);

    /// Takes something that is wrong, ambiguous, or beyond a bound.
    fn anomaly(&mut self, anomaly: Anomaly, place: Place<'_>);
}
