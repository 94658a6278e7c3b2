//! Every defence, in the order in which the chain asks them.

mod active_content;
mod authentication;
mod cdp_refused;
mod frame_limits;
mod graphql_limits;
mod injection;
mod message_authorization;
mod message_format;
mod ocpp_session;
mod operation_policy;
mod origin_policy;
mod protocol_rules;
mod rate_limit;
mod strict_handshake;
mod tls_required;
mod topic_policy;
mod upstream_tls;

pub use active_content::{ActiveContent, ActiveContentConfig};
pub use authentication::{Authentication, AuthenticationConfig, RequireKind};
pub use cdp_refused::{CdpRefused, CdpRefusedConfig};
pub use frame_limits::{FrameLimits, FrameLimitsConfig};
pub use graphql_limits::{GraphqlLimits, GraphqlLimitsConfig, IntrospectionKind};
pub use injection::{Injection, InjectionConfig, PresetKind};
pub use message_authorization::{
    AuthorizeCondition, AuthorizeConfig, AuthorizeField, AuthorizeRule, DefaultKind, Judge,
    MessageAuthorization, Ruling,
};
pub(crate) use message_format::is_guessed;
pub use message_format::{AnswerKind, MessageFormat, MessageFormatConfig};
pub use ocpp_session::{OcppSession, OcppSessionConfig, WinnerKind};
pub use operation_policy::{OperationConfig, OperationPolicy, OperationPolicyConfig, SenderKind};
pub use origin_policy::{OriginPattern, OriginPolicy, OriginPolicyConfig};
pub use protocol_rules::ProtocolRules;
pub use rate_limit::{
    BanConfig, OperationRateConfig, OverdueKind, PerKind, RateLimit, RateLimitConfig, SharedRateConfig,
};
pub use strict_handshake::{StrictHandshake, StrictHandshakeConfig};
pub use tls_required::{TlsRequired, TlsRequiredConfig};
pub use topic_policy::{TopicPolicy, TopicPolicyConfig};
pub use upstream_tls::{UpstreamTls, UpstreamTlsConfig};

pub use rate_limit::RULE as RATE_LIMIT;
pub use strict_handshake::RULE as STRICT_HANDSHAKE;

use std::sync::Arc;

use sockwarden_model::{Mode, Rule};

use crate::{BadSetting, Configured, Switch, Way};

/// Every defence's declaration, in the order in which the chain asks them: cheap and certain ones first, what costs a
/// request to the application last.
pub static ORDER: [&Rule; 17] = [
    &tls_required::RULE,
    &strict_handshake::RULE,
    &origin_policy::RULE,
    &authentication::RULE,
    &upstream_tls::RULE,
    &protocol_rules::RULE,
    &frame_limits::RULE,
    &message_format::RULE,
    &operation_policy::RULE,
    &message_authorization::RULE,
    &topic_policy::RULE,
    &graphql_limits::RULE,
    &cdp_refused::RULE,
    &ocpp_session::RULE,
    &injection::RULE,
    &active_content::RULE,
    &rate_limit::RULE,
];

/// The defences of one route, as configured.
#[derive(Clone, Debug, Default)]
pub struct Defences {
    /// Refuses a client that comes without TLS where TLS is offered.
    pub tls_required: TlsRequiredConfig,
    /// Refuses a handshake that breaks RFC 6455.
    pub strict_handshake: StrictHandshakeConfig,
    /// Refuses pages of other origins.
    pub origin_policy: OriginPolicyConfig,
    /// Refuses callers that nobody vouches for.
    pub authentication: AuthenticationConfig,
    /// The ways to find out who a caller is; none where the route says `auth = "none"`.
    pub ways: Vec<Way>,
    /// Refuses an application that cannot be reached safely.
    pub upstream_tls: UpstreamTlsConfig,
    /// Whether the route says that a cleartext application beyond this machine is acceptable.
    pub cleartext_upstream: bool,
    /// Closes on frames and messages beyond the limits.
    pub frame_limits: FrameLimitsConfig,
    /// Stops messages that readers understand differently.
    pub message_format: MessageFormatConfig,
    /// Stops operations of a sub-protocol that are not allowed.
    pub operation_policy: OperationPolicyConfig,
    /// Stops messages that their senders may not send.
    pub authorize: AuthorizeConfig,
    /// Stops publications and subscriptions that are not allowed.
    pub topic_policy: TopicPolicyConfig,
    /// Limits what one GraphQL document may ask for.
    pub graphql_limits: GraphqlLimitsConfig,
    /// Refuses the Chrome DevTools Protocol.
    pub cdp_refused: CdpRefusedConfig,
    /// Lets a charging station have one connection.
    pub ocpp_session: OcppSessionConfig,
    /// Stops attacks on the application.
    pub injection: InjectionConfig,
    /// Stops script and errors on their way to pages.
    pub active_content: ActiveContentConfig,
    /// Makes wait what a user sends beyond its share.
    pub rate_limit: RateLimitConfig,
}

impl Defences {
    /// Builds the chain's links in the order of [`ORDER`].
    ///
    /// # Errors
    /// Every setting that means nothing.
    pub fn build(&self) -> Result<Arc<[Configured]>, Vec<BadSetting>> {
        let mut links = vec![
            configured(TlsRequired, self.tls_required.mode),
            configured(StrictHandshake, self.strict_handshake.mode),
            configured(OriginPolicy::new(&self.origin_policy), self.origin_policy.mode),
        ];
        if !self.ways.is_empty() {
            let AuthenticationConfig { mode, require } = self.authentication;
            links.push(configured(Authentication::new(&self.ways, require), mode));
        }
        links.extend([
            configured(UpstreamTls::new(self.cleartext_upstream), self.upstream_tls.mode),
            // Bytes that are no legal frame cannot be passed on, whatever one would like.
            Configured::new(ProtocolRules, Switch::fixed(Mode::Block)),
            configured(FrameLimits::new(&self.frame_limits), self.frame_limits.mode),
            configured(MessageFormat::new(&self.message_format), self.message_format.mode),
        ]);
        let mut wrong = Vec::new();
        let mut add = |built: Result<Configured, Vec<BadSetting>>| match built {
            Ok(link) => links.push(link),
            Err(mut found) => wrong.append(&mut found),
        };
        let (operations, topics) = (&self.operation_policy, &self.topic_policy);
        add(OperationPolicy::new(operations).map(|policy| configured(policy, operations.mode)));
        let rules = &self.authorize;
        add(MessageAuthorization::new(rules).map(|policy| configured(policy, rules.mode)));
        add(TopicPolicy::new(topics).map(|policy| configured(policy, topics.mode)));
        let documents = &self.graphql_limits;
        add(GraphqlLimits::new(documents).map(|limits| configured(limits, documents.mode)));
        links.extend([
            configured(CdpRefused::new(&self.cdp_refused), self.cdp_refused.mode),
            configured(OcppSession::new(&self.ocpp_session), self.ocpp_session.mode),
        ]);
        let mut add = |built: Result<Configured, Vec<BadSetting>>| match built {
            Ok(link) => links.push(link),
            Err(mut found) => wrong.append(&mut found),
        };
        let (attacks, content, rates) = (&self.injection, &self.active_content, &self.rate_limit);
        add(Injection::new(attacks).map(|detecting| configured(detecting, attacks.mode)));
        add(ActiveContent::new(content).map(|detecting| configured(detecting, content.mode)));
        add(RateLimit::new(rates).map(|limit| configured(limit, rates.mode)));
        if wrong.is_empty() { Ok(links.into()) } else { Err(wrong) }
    }
}

fn configured(defence: impl crate::Defence + 'static, mode: Mode) -> Configured {
    Configured::new(defence, Switch::new(mode))
}

#[cfg(test)]
pub(crate) mod samples {
    //! Handshakes and messages for the defences' tables.

    use std::time::Duration;

    use sockwarden_inspect::{
        Anomaly, Conversation, InspectLimits, Message, Opening, Operation, Place, Protocol, Reader, Sink,
        Value,
    };
    use sockwarden_model::{Direction, Identity};
    use sockwarden_proto::{
        MessageKind,
        handshake::{HeadLimits, RequestHead, UpgradeRequest},
    };

    use crate::{Content, Defence, Fact, Guard, HandshakeFact, OpenFact, Verdict};

    const GOOD: &str = "GET /x HTTP/1.1\r\nHost: app.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

    /// A handshake over TLS for the host that the samples name.
    pub(crate) fn handshake(request: &UpgradeRequest) -> HandshakeFact<'_> {
        HandshakeFact { request, tls: true, tls_offered: true, host: Some("app.example") }
    }

    /// A good handshake with further header lines.
    pub(crate) fn request(lines: &str) -> UpgradeRequest {
        judge(&format!("{GOOD}{lines}\r\n"))
    }

    /// A good handshake in which `from` stands as `to`.
    pub(crate) fn altered(from: &str, to: &str) -> UpgradeRequest {
        judge(&format!("{}\r\n", GOOD.replacen(from, to, 1)))
    }

    /// Opens a connection of the user `ann` and gives what the defence says of its text messages, passes left out: of each message the
    /// first verdict.
    pub(crate) fn judge_texts(
        defence: &dyn Defence,
        protocol: Option<Protocol>,
        texts: &[(Direction, &str)],
    ) -> Vec<Verdict> {
        let messages: Vec<_> =
            texts.iter().map(|(from, text)| (*from, MessageKind::Text, text.as_bytes())).collect();
        judge_messages(defence, protocol, &messages)
    }

    /// Gives what verdicts tell the operator.
    pub(crate) fn reasons(verdicts: &[Verdict]) -> Vec<String> {
        let reason = |verdict: &Verdict| match verdict {
            Verdict::Close(closure) => Some(closure.reason.clone()),
            Verdict::Refuse(refusal) => Some(refusal.reason.clone()),
            Verdict::Drop { reason } => Some(reason.clone()),
            Verdict::Pass | Verdict::Count(_) | Verdict::Identified(_) | Verdict::Ask(_) => None,
        };
        verdicts.iter().filter_map(reason).collect()
    }

    /// The same of messages of either kind.
    pub(crate) fn judge_messages(
        defence: &dyn Defence,
        protocol: Option<Protocol>,
        messages: &[(Direction, MessageKind, &[u8])],
    ) -> Vec<Verdict> {
        let mut guard = defence.guard();
        let ann = Identity::of_user("ann");
        let open = OpenFact { identity: &ann, protocol, target: "/", in_bodies: false };
        let mut verdicts = vec![guard.observe(&Fact::Open(open), Duration::ZERO)];
        let mut conversation = Conversation::new(protocol, &Opening::default());
        let mut reader = Reader::default();
        for &(direction, kind, bytes) in messages {
            let mut asked = Asked { guard: &mut *guard, direction, said: Verdict::Pass };
            let message = Message { direction, kind, bytes };
            asked.ask(Content::Begin);
            conversation.message(&mut reader, &InspectLimits::default(), &message, &mut asked);
            let goes_on = conversation.is_within(direction);
            asked.ask(Content::Whole { kind, bytes, goes_on });
            verdicts.push(asked.said);
        }
        verdicts.retain(|verdict| *verdict != Verdict::Pass);
        verdicts
    }

    struct Asked<'a> {
        guard: &'a mut dyn Guard,
        direction: Direction,
        said: Verdict,
    }

    impl Asked<'_> {
        fn ask(&mut self, content: Content<'_>) {
            if self.said == Verdict::Pass {
                let fact = Fact::Content { direction: self.direction, content };
                self.said = self.guard.observe(&fact, Duration::ZERO);
            }
        }
    }

    impl Sink for Asked<'_> {
        fn value(&mut self, value: &Value<'_>) {
            self.ask(Content::Value(value));
        }

        fn operation(&mut self, operation: &Operation<'_>) {
            self.ask(Content::Operation(operation));
        }

        fn anomaly(&mut self, anomaly: Anomaly, place: Place<'_>) {
            self.ask(Content::Anomaly(anomaly, place));
        }
    }

    fn judge(text: &str) -> UpgradeRequest {
        let (head, _) = RequestHead::parse(text.as_bytes(), HeadLimits::default()).unwrap().unwrap();
        UpgradeRequest::judge(head, 0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use sockwarden_model::RuleKind;

    use super::*;

    #[test]
    fn every_file_is_a_defence_in_the_order_with_its_documentation() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/defences");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter_map(|name| name.strip_suffix(".rs").map(|stem| stem.replace('_', "-")))
            .filter(|stem| stem != "mod")
            .collect();
        let listed: BTreeSet<String> = ORDER.iter().map(|rule| rule.id.to_owned()).collect();
        assert_eq!(files, listed);
        assert_eq!(listed.len(), ORDER.len(), "an id is listed twice");
        for rule in ORDER {
            assert_eq!(rule.kind, RuleKind::Defence, "{}", rule.id);
            for heading in Rule::HEADINGS {
                assert!(rule.section(heading).is_some_and(|text| text.len() > 20), "{}: {heading}", rule.id);
            }
        }
    }

    #[test]
    fn the_chain_is_built_in_the_order_of_the_list() {
        let defences = Defences { ways: vec![Way::Ticket], ..Defences::default() };
        let built: Vec<&str> = defences.build().unwrap().iter().map(|link| link.defence.rule().id).collect();
        assert_eq!(built, ORDER.map(|rule| rule.id));
    }
}
