//! Whether what a message holds is an attack.
