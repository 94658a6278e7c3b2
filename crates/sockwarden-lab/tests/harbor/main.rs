//! Harbor from outside: as it starts, as its users know it, and as its attackers do.

// Marked as test code so that the lints treat the helpers like the tests that use them.
#[cfg(test)]
mod attacks;
#[cfg(test)]
mod client;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod startup;
#[cfg(test)]
mod users;
