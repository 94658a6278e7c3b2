//! Counters as Prometheus reads them (OpenMetrics 1.0).

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text::encode},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};
use sockwarden_model::{Counters, Histogram, Readiness, StateCounters};

use crate::{answer::Error, gate::Shared};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(crate) async fn give(State(shared): State<Shared>) -> Result<Response, Error> {
    let ready = shared.control.readiness() == Readiness::Ready;
    let text = text(shared.control.counters(), ready).map_err(|std::fmt::Error| {
        Error::new(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written")
    })?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}

fn text(counters: Counters, ready: bool) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::with_prefix("sockwarden");
    registry.register_collector(Box::new(Snapshot { counters, ready }));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Snapshot {
    counters: Counters,
    ready: bool,
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Self { counters, ready } = self;
        let routes = &counters.routes;
        let mut out = Out(&mut encoder);
        out.family(
            "websocket_connections_active",
            "WebSocket connections that are established",
            routes.iter().map(|r| ([("route", r.route.as_str())], gauge(r.active))),
        )?;
        out.family(
            "websocket_connections",
            "WebSocket connections that were established",
            routes.iter().map(|r| ([("route", r.route.as_str())], ConstCounter::new(r.opened))),
        )?;
        out.family(
            "websocket_messages",
            "Messages and control frames by what became of them",
            routes.iter().flat_map(|r| {
                r.messages.iter().map(|m| {
                    let labels = [
                        ("route", r.route.as_str()),
                        ("direction", direction(m.direction)),
                        ("opcode", m.kind.label()),
                        ("decision", m.treatment.label()),
                    ];
                    (labels, ConstCounter::new(m.count))
                })
            }),
        )?;
        out.family(
            "websocket_bytes",
            "Payload bytes of messages that were forwarded",
            routes.iter().flat_map(|r| {
                use sockwarden_model::Direction::{Client, Server};
                [(Client, r.bytes_from_client), (Server, r.bytes_from_server)].map(|(from, bytes)| {
                    ([("route", r.route.as_str()), ("direction", direction(from))], ConstCounter::new(bytes))
                })
            }),
        )?;
        out.family(
            "http_requests",
            "Ordinary requests that were passed on, by the class of the application's status",
            routes.iter().flat_map(|r| {
                let route = ("route", r.route.as_str());
                r.requests.iter().map(move |(class, count)| {
                    ([route, ("status", class.label())], ConstCounter::new(*count))
                })
            }),
        )?;
        let codes: Vec<String> = counters.closes.iter().map(|close| close.code.to_string()).collect();
        out.family(
            "websocket_close",
            "WebSocket connections that ended, by close code and who ended them",
            counters.closes.iter().zip(&codes).map(|(close, code)| {
                let labels = [("code", code.as_str()), ("initiator", close.initiator.label())];
                (labels, ConstCounter::new(close.count))
            }),
        )?;
        out.histogram(
            "websocket_inspection_duration_seconds",
            "How long what one read brought took to be parsed, judged and queued",
            &counters.inspection,
        )?;
        out.family(
            "uninspected",
            "Messages that were forwarded without every inspection",
            routes.iter().flat_map(|r| {
                let route = ("route", r.route.as_str());
                r.uninspected.iter().map(move |(from, why, count)| {
                    let labels = [route, ("direction", direction(*from)), ("reason", why.label())];
                    (labels, ConstCounter::new(*count))
                })
            }),
        )?;
        out.family(
            "rate_waiting",
            "Messages that wait for their user's or the application's rate",
            routes.iter().map(|r| ([("route", r.route.as_str())], gauge(r.rates.waiting))),
        )?;
        out.family(
            "rate_shut_out",
            "Users that are shut out for what they sent",
            routes.iter().map(|r| ([("route", r.route.as_str())], gauge(r.rates.shut_out))),
        )?;
        out.family(
            "upstream_addresses",
            "Addresses of applications by how they are",
            routes.iter().flat_map(|r| {
                let route = ("route", r.route.as_str());
                [("healthy", r.upstream.healthy), ("ejected", r.upstream.ejected)]
                    .map(|(health, count)| ([route, ("health", health)], gauge(count)))
            }),
        )?;
        out.family(
            "upstream_failures",
            "Connections to applications and health checks that failed",
            routes.iter().map(|r| ([("route", r.route.as_str())], ConstCounter::new(r.upstream.failures))),
        )?;
        out.family(
            "upstream_ejections",
            "Addresses of applications that were left alone for having failed",
            routes.iter().map(|r| ([("route", r.route.as_str())], ConstCounter::new(r.upstream.ejections))),
        )?;
        let anywhere = counters.refused_without_route.iter().map(|refused| ("", refused));
        let on_routes =
            routes.iter().flat_map(|r| r.refused.iter().map(|refused| (r.route.as_str(), refused)));
        out.family(
            "handshakes_refused",
            "Handshakes and requests that were refused, by the rule that refused them; those without route got to none",
            anywhere.chain(on_routes).map(|(route, (rule, count))| {
                ([("route", route), ("rule", rule.as_str())], ConstCounter::new(*count))
            }),
        )?;
        let anywhere = counters.limits_without_route.iter().map(|exceeded| ("", exceeded));
        let on_routes =
            routes.iter().flat_map(|r| r.limits.iter().map(|exceeded| (r.route.as_str(), exceeded)));
        out.family(
            "limits_exceeded",
            "How often a limit was exceeded and something was refused, closed or dropped for it; without route before there was one",
            anywhere.chain(on_routes).map(|(route, (limit, count))| {
                ([("route", route), ("limit", limit.label())], ConstCounter::new(*count))
            }),
        )?;
        out.one(
            "panics",
            "Connections that a fault of the gateway itself ended",
            &ConstCounter::new(counters.panics),
        )?;
        out.one(
            "events_dropped",
            "Events that were dropped because the queue was full",
            &ConstCounter::new(counters.events_dropped),
        )?;
        out.state(&counters.state)?;
        out.one("ready", "Whether new connections are welcome", &gauge(u64::from(*ready)))
    }
}

const fn direction(from: sockwarden_model::Direction) -> &'static str {
    match from {
        sockwarden_model::Direction::Client => "client",
        sockwarden_model::Direction::Server => "server",
    }
}

fn gauge(value: u64) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
}

struct Out<'a, 'e>(&'a mut DescriptorEncoder<'e>);

impl Out<'_, '_> {
    /// Writes one metric with its labels; one that has no values yet is named all the same.
    fn family<L: EncodeLabelSet, M: EncodeMetric>(
        &mut self,
        name: &str,
        help: &str,
        values: impl Iterator<Item = (L, M)>,
    ) -> Result<(), std::fmt::Error> {
        let mut values = values.peekable();
        let Some((_, first)) = values.peek() else { return Ok(()) };
        let mut encoder = self.0.encode_descriptor(name, help, None, first.metric_type())?;
        for (labels, value) in values {
            value.encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn one(&mut self, name: &str, help: &str, value: &impl EncodeMetric) -> Result<(), std::fmt::Error> {
        value.encode(self.0.encode_descriptor(name, help, None, value.metric_type())?)
    }

    /// Writes what replicas share; what is known in memory only is absent elsewhere.
    fn state(&mut self, state: &StateCounters) -> Result<(), std::fmt::Error> {
        let outcomes = [
            ("issued", Some(state.issued)),
            ("taken", Some(state.taken)),
            ("burned", Some(state.burned)),
            ("expired", state.expired),
        ];
        self.family(
            "tickets",
            "Tickets of this replica by what became of them; each is issued, and then one of the others",
            outcomes
                .into_iter()
                .filter_map(|(outcome, count)| Some(([("outcome", outcome)], ConstCounter::new(count?)))),
        )?;
        if let Some(outstanding) = state.outstanding {
            let help = "Tickets that are issued, and neither taken, burned nor expired";
            self.one("tickets_outstanding", help, &gauge(outstanding))?;
        }
        self.family(
            "state_up",
            "Whether the state that replicas share can be used, by where it is kept",
            std::iter::once(([("kind", state.kind)], gauge(u64::from(state.up)))),
        )?;
        self.one(
            "state_errors",
            "Failures to reach the state that replicas share, or to understand it",
            &ConstCounter::new(state.errors),
        )?;
        let help = "Revocations that are in force, and those that are over and not forgotten yet";
        self.one("revocations", help, &gauge(state.revocations))?;
        let outcomes = [("answered", state.leases), ("unanswered", state.leases_unanswered)];
        self.family(
            "rate_leases",
            "Requests for leases of rates that replicas share, one of a user or an application each",
            outcomes.into_iter().map(|(outcome, count)| ([("outcome", outcome)], ConstCounter::new(count))),
        )?;
        let help = "Sets of rates that this replica keeps to by itself, because the server does not answer";
        self.one("rates_alone", help, &gauge(state.rates_alone))
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) -> Result<(), std::fmt::Error> {
        let bounds = Histogram::BOUNDS.iter().map(|&ns| seconds(ns)).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(histogram.buckets).collect();
        let count = histogram.buckets.iter().sum();
        let kind = prometheus_client::metrics::MetricType::Histogram;
        let mut encoder = self.0.encode_descriptor(name, help, None, kind)?;
        encoder.encode_histogram::<[(&str, &str); 0]>(seconds(histogram.sum_ns), count, &buckets, None)
    }
}

fn seconds(ns: u64) -> f64 {
    std::time::Duration::from_nanos(ns).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use sockwarden_model::{
        CloseClass, CloseCount, Direction, Initiator, Limit, MessageClass, MessageCount, RateCounters,
        RouteCounters, StatusClass, Treatment, Uninspected, UpstreamCounters,
    };

    use super::*;

    fn sample() -> Counters {
        let mut inspection = Histogram { sum_ns: 3_500, ..Histogram::default() };
        inspection.buckets[0] = 2;
        inspection.buckets[11] = 1;
        Counters {
            routes: vec![RouteCounters {
                route: "a \"quoted\\\n\" name".to_owned(),
                opened: 7,
                active: 3,
                messages: vec![MessageCount {
                    direction: Direction::Client,
                    kind: MessageClass::Text,
                    treatment: Treatment::Block,
                    count: 5,
                }],
                bytes_from_client: 11,
                bytes_from_server: 13,
                requests: vec![(StatusClass::Success, 30), (StatusClass::ServerError, 31)],
                refused: vec![("origin-policy".to_owned(), 2)],
                limits: vec![(Limit::MessageSize, 10)],
                uninspected: vec![(Direction::Client, Uninspected::DefenceOff, 4)],
                rates: RateCounters { waiting: 24, shut_out: 25 },
                upstream: UpstreamCounters { healthy: 20, ejected: 21, failures: 22, ejections: 23 },
            }],
            refused_without_route: vec![("strict-handshake".to_owned(), 1)],
            closes: vec![CloseCount { code: CloseClass::of(1009), initiator: Initiator::Gateway, count: 6 }],
            inspection,
            limits_without_route: vec![(Limit::Descriptors, 8)],
            panics: 2,
            events_dropped: 9,
            state: StateCounters {
                kind: "redis",
                up: true,
                errors: 40,
                issued: 41,
                taken: 42,
                burned: 43,
                expired: Some(44),
                outstanding: Some(45),
                revocations: 46,
                leases: 47,
                leases_unanswered: 48,
                rates_alone: 49,
            },
        }
    }

    #[test]
    fn every_counter_has_its_name_and_labels() {
        let text = text(sample(), true).unwrap();
        let route = r#"route="a \"quoted\\\n\" name""#;
        for line in [
            format!("sockwarden_websocket_connections_active{{{route}}} 3"),
            format!("sockwarden_websocket_connections_total{{{route}}} 7"),
            format!(
                "sockwarden_websocket_messages_total{{{route},direction=\"client\",opcode=\"text\",decision=\"block\"}} 5"
            ),
            format!("sockwarden_websocket_bytes_total{{{route},direction=\"client\"}} 11"),
            format!("sockwarden_websocket_bytes_total{{{route},direction=\"server\"}} 13"),
            format!("sockwarden_http_requests_total{{{route},status=\"2xx\"}} 30"),
            format!("sockwarden_http_requests_total{{{route},status=\"5xx\"}} 31"),
            "sockwarden_websocket_close_total{code=\"1009\",initiator=\"gateway\"} 6".to_owned(),
            "sockwarden_websocket_inspection_duration_seconds_count 3".to_owned(),
            "sockwarden_websocket_inspection_duration_seconds_bucket{le=\"0.000001\"} 2".to_owned(),
            "sockwarden_websocket_inspection_duration_seconds_bucket{le=\"0.1\"} 2".to_owned(),
            "sockwarden_websocket_inspection_duration_seconds_bucket{le=\"+Inf\"} 3".to_owned(),
            format!("sockwarden_uninspected_total{{{route},direction=\"client\",reason=\"defence-off\"}} 4"),
            "sockwarden_handshakes_refused_total{route=\"\",rule=\"strict-handshake\"} 1".to_owned(),
            format!("sockwarden_handshakes_refused_total{{{route},rule=\"origin-policy\"}} 2"),
            format!("sockwarden_rate_waiting{{{route}}} 24"),
            format!("sockwarden_rate_shut_out{{{route}}} 25"),
            format!("sockwarden_upstream_addresses{{{route},health=\"healthy\"}} 20"),
            format!("sockwarden_upstream_addresses{{{route},health=\"ejected\"}} 21"),
            format!("sockwarden_upstream_failures_total{{{route}}} 22"),
            format!("sockwarden_upstream_ejections_total{{{route}}} 23"),
            "sockwarden_limits_exceeded_total{route=\"\",limit=\"descriptors\"} 8".to_owned(),
            format!("sockwarden_limits_exceeded_total{{{route},limit=\"message-size\"}} 10"),
            "sockwarden_panics_total 2".to_owned(),
            "sockwarden_events_dropped_total 9".to_owned(),
            "sockwarden_tickets_total{outcome=\"issued\"} 41".to_owned(),
            "sockwarden_tickets_total{outcome=\"taken\"} 42".to_owned(),
            "sockwarden_tickets_total{outcome=\"burned\"} 43".to_owned(),
            "sockwarden_tickets_total{outcome=\"expired\"} 44".to_owned(),
            "sockwarden_tickets_outstanding 45".to_owned(),
            "sockwarden_state_up{kind=\"redis\"} 1".to_owned(),
            "sockwarden_state_errors_total 40".to_owned(),
            "sockwarden_revocations 46".to_owned(),
            "sockwarden_rate_leases_total{outcome=\"answered\"} 47".to_owned(),
            "sockwarden_rate_leases_total{outcome=\"unanswered\"} 48".to_owned(),
            "sockwarden_rates_alone 49".to_owned(),
            "sockwarden_ready 1".to_owned(),
            "# EOF".to_owned(),
        ] {
            assert!(text.lines().any(|found| found == line), "no `{line}` in\n{text}");
        }
    }

    #[test]
    fn nothing_counted_yet_is_well_formed() {
        let text = text(Counters::default(), false).unwrap();
        assert!(text.ends_with("# EOF\n"));
        assert!(text.contains("\nsockwarden_ready 0\n"), "{text}");
        // On a server nobody knows these.
        assert!(!text.contains("expired") && !text.contains("outstanding"), "{text}");
    }
}
