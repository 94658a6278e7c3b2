//! Capabilities of root, and the way to more of them.

use rustix::{
    io::Errno,
    thread::{
        CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
        clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
        set_no_new_privs,
    },
};

/// How many capabilities there can be; a kernel answers EINVAL for those that it does not know.
const MOST: u32 = u64::BITS;

/// Keeps this thread, and all that it starts, from getting rights by running a program.
pub(super) fn forbid_new() -> Result<(), String> {
    set_no_new_privs(true).map_err(|error| error.to_string())
}

/// Gives up every capability of this thread, for good.
pub(super) fn drop_all() -> Result<(), String> {
    let said = |error: Errno| error.to_string();
    let may_narrow = capabilities(None).map_err(said)?.effective.contains(CapabilitySet::SETPCAP);
    // The bounding set limits what running a program can give. Who may not narrow it gets nothing by that either: new
    // privileges are forbidden already.
    for capability in (0..MOST).map(|bit| CapabilitySet::from_bits_retain(1 << bit)) {
        match capability_is_in_bounding_set(capability) {
            Ok(true) if may_narrow => remove_capability_from_bounding_set(capability).map_err(said)?,
            Ok(_) => {}
            Err(Errno::INVAL) => break,
            Err(error) => return Err(said(error)),
        }
    }
    match clear_ambient_capability_set() {
        // Kernels before 4.3 have no such set.
        Ok(()) | Err(Errno::INVAL) => {}
        Err(error) => return Err(said(error)),
    }
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
        .map_err(said)
}
