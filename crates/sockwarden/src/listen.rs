//! A live conversation with a server, shown as it happens.

mod body;
mod har;
mod talk;
mod typed;
mod view;

pub(crate) use body::Room;
pub(crate) use har::{Har, without_secrets};
pub(crate) use talk::{End, Plan, Talk, input};
pub(crate) use view::{Form, View};
