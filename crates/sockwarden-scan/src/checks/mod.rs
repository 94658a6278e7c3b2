//! The checks, one file each.

use crate::check::Check;

mod cleartext_transport;
mod compression_bomb_accepted;
mod connections_unbounded;
mod fragments_unbounded;
mod frame_rules_broken;
mod handshake_not_strict;
mod handshake_slow_accepted;
mod horizontal_access;
mod idle_never_closed;
mod message_size_unbounded;
mod origin_is_authentication;
mod origin_not_checked;
mod ping_flood_accepted;
mod rate_unbounded;
mod session_outlives_logout;
mod ticket_not_bound;
mod ticket_replayable;
mod token_in_url;
mod token_never_expires;
mod unauthenticated_access;
mod vertical_access;

/// Every check, in the order in which they are made and reported.
pub static ALL: &[&dyn Check] = &[
    &cleartext_transport::CleartextTransport,
    &origin_not_checked::OriginNotChecked,
    &origin_is_authentication::OriginIsAuthentication,
    &handshake_not_strict::HandshakeNotStrict,
    &unauthenticated_access::UnauthenticatedAccess,
    &horizontal_access::HorizontalAccess,
    &vertical_access::VerticalAccess,
    &token_in_url::TokenInUrl,
    &token_never_expires::TokenNeverExpires,
    &ticket_replayable::TicketReplayable,
    &ticket_not_bound::TicketNotBound,
    &frame_rules_broken::FrameRulesBroken,
    &message_size_unbounded::MessageSizeUnbounded,
    &handshake_slow_accepted::HandshakeSlowAccepted,
    &idle_never_closed::IdleNeverClosed,
    &compression_bomb_accepted::CompressionBombAccepted,
    &fragments_unbounded::FragmentsUnbounded,
    &ping_flood_accepted::PingFloodAccepted,
    &rate_unbounded::RateUnbounded,
    &connections_unbounded::ConnectionsUnbounded,
    &session_outlives_logout::SessionOutlivesLogout,
];

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use sockwarden_model::{Rule, RuleKind};

    use super::ALL;

    #[test]
    fn the_folder_the_list_and_the_ids_agree() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/checks");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().replace('_', "-"))
            .filter(|name| name != "mod")
            .collect();
        let ids: BTreeSet<String> = ALL.iter().map(|check| check.rule().id.to_owned()).collect();
        assert_eq!(files, ids);
        assert_eq!(ids.len(), ALL.len(), "an id is used twice");
    }

    #[test]
    fn what_loads_the_target_comes_late_and_what_ends_a_session_last() {
        let order: Vec<(bool, bool)> =
            ALL.iter().map(|check| (check.ends_sessions(), check.loads() || check.ends_sessions())).collect();
        assert!(order.is_sorted(), "{order:?}");
        assert!(order.contains(&(true, true)) && order.contains(&(false, true)));
    }

    #[test]
    fn every_rule_says_what_why_and_how() {
        for rule in ALL.iter().map(|check| check.rule()) {
            assert_eq!(rule.kind, RuleKind::Check);
            let mut last = 0;
            for heading in Rule::HEADINGS {
                let text = rule.section(heading).unwrap_or_default();
                assert!(text.len() > 80, "{}: {heading}", rule.id);
                let at = rule.markdown().find(&format!("# {heading}")).unwrap();
                assert!(at >= last, "{}: {heading} is out of order", rule.id);
                last = at;
            }
            assert!(rule.section("How to fix").unwrap().contains("```"), "{}: show how", rule.id);
            assert!(
                !rule.cwe.is_empty() && !rule.threats.is_empty() && !rule.references.is_empty(),
                "{}",
                rule.id
            );
            // A limit of the gateway as a whole is no defence, and said in words.
            let by_a_limit = rule.section("How to fix").unwrap().contains("Sockwarden's `");
            assert!(!rule.counterparts.is_empty() || by_a_limit, "{}: what stops it?", rule.id);
            assert!(!rule.summary.ends_with('.') && !rule.may_change.is_empty(), "{}", rule.id);
        }
    }
}
