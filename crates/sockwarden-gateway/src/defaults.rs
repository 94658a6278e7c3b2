//! What routes inherit.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_config::{Condition, Inheritance};
use sockwarden_defend::defences::{
    AuthenticationConfig, AuthorizeConfig, CdpRefusedConfig, FrameLimitsConfig, GraphqlLimitsConfig,
    MessageFormatConfig, OcppSessionConfig, OperationPolicyConfig, OriginPolicyConfig, StrictHandshakeConfig,
    TlsRequiredConfig, TopicPolicyConfig, UpstreamTlsConfig,
};
use sockwarden_identity::{JwtConfig, MtlsConfig};

use crate::{
    auth::{BearerConfig, ForwardAuthConfig, SessionConfig, TicketConfig},
    compression::{CompressionKind, InflateConfig},
    config::ConnectionLimitsConfig,
    inspection::InspectConfig,
    liveness::TimeoutsConfig,
    pass_through::HttpLimitsConfig,
};

/// What a route has that does not say otherwise, key by key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DefaultsConfig {
    /// Whether one of several ways to authenticate is enough, and what happens to callers that nobody vouches for.
    pub authentication: Option<AuthenticationConfig>,
    /// Tickets: who gets one, how it comes with a handshake, and what it is bound to; inherited by routes whose `auth` names "ticket".
    pub ticket: Option<TicketConfig>,
    /// Which tokens are taken, and what they say; inherited by routes whose `auth` names "jwt".
    pub jwt: Option<JwtConfig>,
    /// Which name in a client's certificate is the user; inherited by routes whose `auth` names "mtls".
    pub mtls: Option<MtlsConfig>,
    /// Where in a request a token stands.
    pub bearer: Option<BearerConfig>,
    /// When sockets end because the session behind them does.
    pub session: Option<SessionConfig>,
    /// Asks the application about each caller; inherited by routes whose `auth` names "forward".
    pub forward_auth: Option<ForwardAuthConfig>,
    /// How much an ordinary request may bring, and how long it may take; for routes with `http = "pass"`.
    pub http_limits: Option<HttpLimitsConfig>,
    /// How many sessions there may be at once.
    pub connection_limits: Option<ConnectionLimitsConfig>,
    /// Refuses clients without TLS where the listener has a certificate.
    pub tls_required: Option<TlsRequiredConfig>,
    /// Refuses handshakes that break RFC 6455.
    pub strict_handshake: Option<StrictHandshakeConfig>,
    /// Refuses pages of other origins.
    pub origin_policy: Option<OriginPolicyConfig>,
    /// Refuses an application that cannot be reached safely.
    pub upstream_tls: Option<UpstreamTlsConfig>,
    /// Closes on frames and messages beyond the limits.
    pub frame_limits: Option<FrameLimitsConfig>,
    /// Stops messages that readers understand differently.
    pub message_format: Option<MessageFormatConfig>,
    /// Stops operations of a sub-protocol that are not allowed.
    pub operation_policy: Option<OperationPolicyConfig>,
    /// Stops messages that their senders may not send.
    pub authorize: Option<AuthorizeConfig>,
    /// Stops publications and subscriptions that are not allowed.
    pub topic_policy: Option<TopicPolicyConfig>,
    /// Limits what one GraphQL document may ask for.
    pub graphql_limits: Option<GraphqlLimitsConfig>,
    /// Refuses the Chrome DevTools Protocol.
    pub cdp_refused: Option<CdpRefusedConfig>,
    /// Lets a charging station have one connection.
    pub ocpp_session: Option<OcppSessionConfig>,
    /// How messages are read.
    pub inspect: Option<InspectConfig>,
    /// What becomes of compression (permessage-deflate).
    pub compression: Option<CompressionKind>,
    /// How far compressed messages may expand.
    pub inflate: Option<InflateConfig>,
    /// How long a connection may be silent, slow or old.
    pub timeouts: Option<TimeoutsConfig>,
}

impl DefaultsConfig {
    /// How routes take from the defaults; it is done before either is typed.
    pub const INHERITANCE: Inheritance<'static> = Inheritance {
        from: "defaults",
        into: "routes",
        only_where: &[
            Condition { key: "forward_auth", other: "auth", value: "forward" },
            Condition { key: "ticket", other: "auth", value: "ticket" },
            Condition { key: "jwt", other: "auth", value: "jwt" },
            Condition { key: "mtls", other: "auth", value: "mtls" },
        ],
    };

    /// Tells whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::RouteConfig;

    #[test]
    fn what_can_be_inherited_means_the_same_on_a_route() {
        let defaults = sockwarden_config::schema::<DefaultsConfig>();
        let route = sockwarden_config::schema::<RouteConfig>();
        let table = |schema: &Value, key: &str| {
            let text = schema["properties"][key].to_string();
            let at = text.find("#/$defs/").unwrap_or_else(|| panic!("{key} is no table: {text}"));
            text[at..].split('"').next().map(str::to_owned)
        };
        for key in defaults["properties"].as_object().unwrap().keys() {
            assert_eq!(table(&defaults, key), table(&route, key), "{key}");
        }
        for condition in DefaultsConfig::INHERITANCE.only_where {
            assert!(defaults["properties"].get(condition.key).is_some(), "{}", condition.key);
            assert!(route["properties"].get(condition.other).is_some(), "{}", condition.other);
        }
    }
}
