//! What works and is unwise.

use super::{Problem, Problems};
use crate::{
    auth,
    config::{LimitsConfig, ListenerConfig, RouteConfig},
    routing::Matcher,
    upstream,
};

/// Names combinations that work but are unsafe.
pub fn warnings(listeners: &[ListenerConfig], routes: &[RouteConfig], limits: &LimitsConfig) -> Vec<Problem> {
    use sockwarden_model::Mode;
    let mut problems = Problems(Vec::new());
    for (index, listener) in listeners.iter().enumerate() {
        let everyone = |network: &sockwarden_config::Network| network.contains([192, 0, 2, 1].into());
        if listener.proxies.trusted.iter().any(everyone) {
            let key = format!("listeners[{index}].proxies.trusted");
            problems.add(
                &key,
                "whoever connects can claim any address",
                Some("name the networks of your own proxies"),
            );
        }
        let has_tls = listener.certificate.is_some() || listener.tls_dev;
        if !has_tls && listener.proxies.is_empty() {
            problems.add(
                &format!("listeners[{index}].proxies"),
                "where a proxy in front ends TLS, all its clients count as one address (`limits.per_address`)",
                Some("name it in `trusted` or `proxy_protocol`"),
            );
        }
        if listener.insecure_plaintext {
            let key = format!("listeners[{index}].insecure_plaintext");
            problems.add(
                &key,
                "everything can be read and changed on the path (T4)",
                Some("give the listener a certificate"),
            );
        }
    }
    if limits.message_memory > limits.memory {
        let message = "larger than `limits.memory`: one message could keep everybody else out";
        problems.add("limits.message_memory", message, None);
    }
    warn_of_unreachable(routes, &mut problems);
    for (index, route) in routes.iter().enumerate() {
        let mut warn =
            |name: &str, message: &str, help| problems.add(&format!("routes[{index}].{name}"), message, help);
        auth::warnings(route, &mut warn);
        upstream::warnings(route, limits, &mut warn);
        if route.origin_policy.allow_null {
            warn(
                "origin_policy.allow_null",
                "any web page can make a browser send `Origin: null` (T7)",
                None,
            );
        }
        if let Some(drains) = route.rate_limit.drains_too_slowly() {
            let message = format!(
                "shorter than a full queue takes to pass ({} s at the rate of one user): honest bursts are rejected",
                drains.as_secs()
            );
            warn("rate_limit.queue_timeout", &message, Some("a longer timeout, or a shorter queue"));
        }
        let of_frames = &route.frame_limits;
        let messages = [
            ("frame_limits.message", of_frames.message),
            ("frame_limits.server_message", of_frames.server_message),
        ];
        for (name, _) in messages.into_iter().filter(|(_, most)| *most > limits.message_memory) {
            warn(name, "larger than `limits.message_memory`, which closes the connection first", None);
        }
        if route.upstream_tls.mode != Mode::Block {
            warn(
                "upstream_tls.mode",
                "an application with a wrong certificate is talked to all the same (T8)",
                None,
            );
        }
        for (name, mode) in [
            ("tls_required.mode", route.tls_required.mode),
            ("strict_handshake.mode", route.strict_handshake.mode),
            ("origin_policy.mode", route.origin_policy.mode),
            ("frame_limits.mode", route.frame_limits.mode),
            ("message_format.mode", route.message_format.mode),
            ("operation_policy.mode", route.operation_policy.mode),
            ("authorize.mode", route.authorize.mode),
            ("topic_policy.mode", route.topic_policy.mode),
            ("graphql_limits.mode", route.graphql_limits.mode),
            ("cdp_refused.mode", route.cdp_refused.mode),
            ("ocpp_session.mode", route.ocpp_session.mode),
            ("injection.mode", route.injection.mode),
            ("active_content.mode", route.active_content.mode),
            ("rate_limit.mode", route.rate_limit.mode),
        ] {
            if mode == Mode::Off {
                warn(name, "this defence is off", None);
            }
        }
    }
    problems.0
}

/// Finds routes whose every request another one takes.
fn warn_of_unreachable(routes: &[RouteConfig], problems: &mut Problems) {
    let matchers: Vec<_> = routes.iter().map(|route| Matcher::new(route).ok()).collect();
    for (index, matcher) in matchers.iter().enumerate() {
        let Some(matcher) = matcher else { continue };
        let takes_all = |place: usize, other: &Matcher| {
            let order = other.compare(matcher);
            (order.is_lt() || (order.is_eq() && place < index)) && other.covers(matcher)
        };
        let other = matchers.iter().enumerate().find(|(place, other)| {
            *place != index && other.as_ref().is_some_and(|other| takes_all(*place, other))
        });
        if let Some((place, _)) = other {
            let message =
                format!("this route is never taken: all its requests go to `{}`", routes[place].name);
            problems.add(&format!("routes[{index}].path"), &message, None);
        }
    }
}
