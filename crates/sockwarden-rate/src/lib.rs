//! How much may pass: exact arithmetic on time, no clock.
