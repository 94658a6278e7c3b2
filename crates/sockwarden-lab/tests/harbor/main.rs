//! Harbor from outside: as it starts, as its users know it, and as its attackers do.

mod attacks;
mod client;
mod startup;
mod users;
