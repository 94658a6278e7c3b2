//! Limits of nothing.

use sockwarden_defend::defences::{FrameLimitsConfig, GraphqlLimitsConfig};

use super::Problems;
use crate::{
    config::{ConnectionLimitsConfig, HeadLimitsConfig, LimitsConfig, PerAddressConfig, RouteConfig},
    inspection::InspectConfig,
    pass_through::HttpLimitsConfig,
};

/// Refuses limits under which nothing could pass: who wants no limit does not write zero.
pub(super) fn refuse(routes: &[RouteConfig], limits: &LimitsConfig, problems: &mut Problems) {
    let mut refuse = |key: &str, is_zero: bool, message: &str| {
        if is_zero {
            problems.add(key, message, None);
        }
    };
    let LimitsConfig {
        connections,
        handshake_timeout,
        upstream_timeout,
        close_timeout: _,
        certificate_poll,
        memory,
        message_memory,
        write_buffer,
        workers,
        per_address:
            PerAddressConfig { connections: of_address, connections_per_second, handshakes_per_second },
        tls_handshakes,
        head: HeadLimitsConfig { bytes, fields, target },
    } = limits;
    let nobody = "with 0 nobody could connect";
    refuse("limits.per_address.connections", *of_address == 0, nobody);
    refuse("limits.per_address.connections_per_second", *connections_per_second == 0, nobody);
    refuse("limits.per_address.handshakes_per_second", *handshakes_per_second == 0, nobody);
    refuse("limits.tls_handshakes", *tls_handshakes == 0, "with 0 nobody could connect over TLS");
    refuse("limits.head.bytes", bytes.as_u64() == 0, nobody);
    refuse("limits.head.fields", *fields == 0, nobody);
    refuse("limits.head.target", target.as_u64() == 0, nobody);
    refuse("limits.certificate_poll", certificate_poll.is_zero(), "the files would be read without pause");
    refuse("limits.connections", *connections == 0, "with 0 nobody could connect");
    refuse("limits.workers", *workers == Some(0), "with 0 nothing would be relayed");
    refuse("limits.workers", *workers > Some(256), "more threads than 256 are of no use");
    refuse("limits.handshake_timeout", handshake_timeout.is_zero(), "in no time nobody could connect");
    refuse("limits.upstream_timeout", upstream_timeout.is_zero(), "in no time no application could answer");
    refuse("limits.memory", memory.as_u64() == 0, "with 0 nobody could connect");
    refuse("limits.message_memory", message_memory.as_u64() == 0, "with 0 no message could pass");
    refuse("limits.write_buffer", write_buffer.as_u64() == 0, "with 0 nothing would ever be read");
    for (index, route) in routes.iter().enumerate() {
        let key = |name: &str| format!("routes[{index}].{name}");
        let ConnectionLimitsConfig { connections, per_user } = &route.connection_limits;
        refuse(&key("connection_limits.connections"), *connections == Some(0), nobody);
        refuse(&key("connection_limits.per_user"), *per_user == 0, nobody);
        let FrameLimitsConfig {
            mode: _,
            frame,
            message,
            server_frame,
            server_message,
            fragments,
            empty_fragments: _,
            frames_per_second,
            server_frames_per_second,
            control_frames_per_second,
        } = &route.frame_limits;
        let no_message = "with 0 no message could pass";
        refuse(&key("frame_limits.frame"), frame.as_u64() == 0, no_message);
        refuse(&key("frame_limits.message"), message.as_u64() == 0, no_message);
        refuse(&key("frame_limits.server_frame"), server_frame.as_u64() == 0, no_message);
        refuse(&key("frame_limits.server_message"), server_message.as_u64() == 0, no_message);
        refuse(&key("frame_limits.fragments"), *fragments == 0, no_message);
        refuse(&key("frame_limits.frames_per_second"), *frames_per_second == 0, no_message);
        refuse(&key("frame_limits.server_frames_per_second"), *server_frames_per_second == 0, no_message);
        refuse(
            &key("frame_limits.control_frames_per_second"),
            *control_frames_per_second == 0,
            "with 0 no connection could be closed properly",
        );
        let GraphqlLimitsConfig {
            mode: _,
            depth,
            breadth,
            fields,
            aliases: _,
            directives: _,
            operations,
            length,
            introspection: _,
            allow: _,
            answer: _,
        } = &route.graphql_limits;
        let no_document = "with 0 no document could pass";
        refuse(&key("graphql_limits.depth"), *depth == 0, no_document);
        refuse(&key("graphql_limits.breadth"), *breadth == 0, no_document);
        refuse(&key("graphql_limits.fields"), *fields == 0, no_document);
        refuse(&key("graphql_limits.operations"), *operations == 0, no_document);
        refuse(&key("graphql_limits.length"), length.as_u64() == 0, no_document);
        let HttpLimitsConfig {
            body: _,
            inspected_body: _,
            fail: _,
            body_timeout,
            response_head,
            response_timeout,
            idle_timeout,
            keep_alive: _,
        } = &route.http_limits;
        let no_time = "in no time nothing could be passed on";
        refuse(&key("http_limits.body_timeout"), body_timeout.is_zero(), no_time);
        refuse(&key("http_limits.response_head"), response_head.as_u64() == 0, "with 0 no answer could pass");
        refuse(&key("http_limits.response_timeout"), response_timeout.is_zero(), no_time);
        refuse(&key("http_limits.idle_timeout"), idle_timeout.is_zero(), no_time);
        refuse(&key("inflate.max_ratio"), route.inflate.max_ratio == 0, "with 0 no large message could pass");
        refuse(
            &key("inflate.overhead"),
            route.inflate.overhead.as_u64() == 0,
            "with 0 no short message could pass",
        );
        let is_zero = route.inflate.time_per_second.is_zero();
        refuse(&key("inflate.time_per_second"), is_zero, "in no time no message could be inflated");
        refuse(&key("inflate.time"), route.inflate.time.is_zero(), "in no time no message could be inflated");
        let InspectConfig {
            protocol: _,
            depth,
            values,
            keys,
            items,
            text,
            digits,
            layers: _,
            decoded: _,
            pending: _,
        } = &route.inspect;
        refuse(&key("inspect.keys"), *keys == 0, "with 0 no object could pass");
        refuse(&key("inspect.items"), *items == 0, "with 0 no array could pass");
        refuse(&key("inspect.text"), text.as_u64() == 0, "with 0 no text could pass");
        refuse(&key("inspect.digits"), *digits == 0, "with 0 no number could pass");
        refuse(&key("inspect.depth"), *depth == 0, "with 0 no object could pass");
        refuse(&key("inspect.values"), *values == 0, "with 0 no message could pass");
    }
}
