//! One command, one file.

pub(crate) mod authorize;
pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod drain;
pub(crate) mod effective;
pub(crate) mod explain;
pub(crate) mod guard;
pub(crate) mod inspect;
pub(crate) mod lab;
pub(crate) mod limits;
pub(crate) mod listen;
pub(crate) mod mode;
pub(crate) mod reload;
pub(crate) mod revoke;
pub(crate) mod rules;
pub(crate) mod scan;
pub(crate) mod sessions;
pub(crate) mod status;
pub(crate) mod ticket;
pub(crate) mod why;
