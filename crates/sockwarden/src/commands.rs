//! One command, one file.

pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod effective;
pub(crate) mod explain;
pub(crate) mod guard;
pub(crate) mod lab;
pub(crate) mod scan;
pub(crate) mod why;
