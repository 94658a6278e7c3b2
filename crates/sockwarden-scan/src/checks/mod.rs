//! The checks, one file each.

use crate::check::Check;

mod cleartext_transport;
mod origin_not_checked;

/// Every check, in the order in which they are made and reported.
pub static ALL: &[&dyn Check] =
    &[&cleartext_transport::CleartextTransport, &origin_not_checked::OriginNotChecked];
