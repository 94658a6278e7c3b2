//! A mode that can be changed while connections live.

use std::sync::atomic::{AtomicU8, Ordering};

use sockwarden_model::Mode;

/// The mode of one defence on one route; every chain of the route asks it at each decision.
#[derive(Debug)]
pub struct Switch {
    configured: Mode,
    fixed: bool,
    now: AtomicU8,
}

impl Switch {
    /// Makes a switch that stands at the configured mode.
    pub const fn new(configured: Mode) -> Self {
        Self { configured, fixed: false, now: AtomicU8::new(configured as u8) }
    }

    /// Makes a switch that cannot be moved.
    pub const fn fixed(configured: Mode) -> Self {
        Self { configured, fixed: true, now: AtomicU8::new(configured as u8) }
    }

    /// Gives the mode now.
    #[inline]
    pub fn mode(&self) -> Mode {
        // Nothing else is published by a change: a decision may be made by either mode while it happens.
        match self.now.load(Ordering::Relaxed) {
            now if now == Mode::Off as u8 => Mode::Off,
            now if now == Mode::Observe as u8 => Mode::Observe,
            _ => Mode::Block,
        }
    }

    /// Gives the mode that the configuration says.
    pub const fn configured(&self) -> Mode {
        self.configured
    }

    /// Tells whether it cannot be moved.
    pub const fn is_fixed(&self) -> bool {
        self.fixed
    }

    /// Changes the mode, for connections that live already too; one that cannot be moved stays.
    pub fn set(&self, mode: Mode) {
        if !self.fixed {
            self.now.store(mode as u8, Ordering::Relaxed);
        }
    }

    /// Goes back to the configured mode.
    pub fn restore(&self) {
        self.set(self.configured);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_stands_where_it_was_put_unless_it_is_fixed() {
        for configured in [Mode::Off, Mode::Observe, Mode::Block] {
            let (free, fixed) = (Switch::new(configured), Switch::fixed(configured));
            for mode in [Mode::Off, Mode::Observe, Mode::Block] {
                free.set(mode);
                fixed.set(mode);
                assert_eq!((free.mode(), fixed.mode()), (mode, configured));
            }
            free.restore();
            assert_eq!((free.mode(), free.configured()), (configured, configured));
        }
    }
}
