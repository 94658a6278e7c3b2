//! What real clients and servers say, per protocol: they are never accused, and no one takes them for speakers of another.

use sockwarden_model::Direction::{self, Client, Server};
use sockwarden_proto::MessageKind::{self, Binary, Text};

use super::{Protocol, broker_samples};

/// One connection of a real library.
pub(super) struct Exchange {
    pub(super) protocol: Protocol,
    pub(super) subprotocol: Option<&'static str>,
    pub(super) target: &'static str,
    /// Whether the protocol is recognised where the handshake says nothing.
    pub(super) recognised: bool,
    pub(super) messages: &'static [Said],
}

/// Who said what.
pub(super) type Said = (Direction, MessageKind, &'static [u8]);

pub(super) const fn client(text: &'static str) -> Said {
    (Client, Text, text.as_bytes())
}

pub(super) const fn server(text: &'static str) -> Said {
    (Server, Text, text.as_bytes())
}

/// Every exchange, those of brokers and devices too.
pub(super) fn exchanges() -> impl Iterator<Item = &'static Exchange> {
    EXCHANGES.iter().chain(broker_samples::EXCHANGES)
}

static EXCHANGES: &[Exchange] = &[
    // JSON-RPC 2.0, the examples of its specification and what Ethereum's nodes say.
    Exchange {
        protocol: Protocol::JsonRpc,
        subprotocol: None,
        target: "/",
        recognised: true,
        messages: &[
            client(r#"{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}"#),
            server(r#"{"jsonrpc": "2.0", "result": 19, "id": 1}"#),
            client(r#"{"id":1,"jsonrpc":"2.0","method":"eth_subscribe","params":["newHeads"]}"#),
            server(
                r#"{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x9c","result":{"number":"0x1b4"}}}"#,
            ),
        ],
    },
    // Engine.IO alone, over a transport that was probed.
    Exchange {
        protocol: Protocol::EngineIo,
        subprotocol: None,
        target: "/engine.io/?EIO=4&transport=websocket&sid=lv_VI97HAXpY6yYWAAAC",
        recognised: false,
        messages: &[
            client("2probe"),
            server("3probe"),
            client("5"),
            client("4hello"),
            server("4{\"echo\":true}"),
            (Client, Binary, b"\x01\x02\x03\x04"),
            server("2"),
            client("3"),
            client("1"),
        ],
    },
    // socket.io 4: a chat with acknowledgements, a namespace and attachments.
    Exchange {
        protocol: Protocol::SocketIo,
        subprotocol: None,
        target: "/socket.io/?EIO=4&transport=websocket",
        recognised: true,
        messages: &[
            server(
                r#"0{"sid":"lv_VI97HAXpY6yYWAAAB","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#,
            ),
            client("40"),
            server(r#"40{"sid":"wZX3oN0bSVIhsaknAAAI"}"#),
            client(r#"40/admin,{"token":"123"}"#),
            server(
                r#"44/admin,{"message":"Not authorized","data":{"code":"E001","label":"Invalid credentials"}}"#,
            ),
            client(r#"420["chat message","hi <3"]"#),
            server(r#"430["ok"]"#),
            server(r#"42["chat message",{"from":"a","text":"hi"},[1,2]]"#),
            client(r#"451-["baz",{"_placeholder":true,"num":0}]"#),
            (Client, Binary, b"\x01\x02\x03\x04"),
            server(r#"452-["two",{"a":{"_placeholder":true,"num":0},"b":[{"_placeholder":true,"num":1}]}]"#),
            (Server, Binary, b"\x04"),
            (Server, Binary, b""),
            server("2"),
            client("3"),
            client("41"),
            client("1"),
        ],
    },
    // socket.io 2: the client pings, the server connects it.
    Exchange {
        protocol: Protocol::SocketIo,
        subprotocol: None,
        target: "/socket.io/?EIO=3&transport=websocket",
        recognised: false,
        messages: &[
            server(
                r#"0{"sid":"Lbo5JLzTotvW3g2LAAAA","upgrades":[],"pingInterval":25000,"pingTimeout":5000}"#,
            ),
            server("40"),
            client("40/chat?room=1,"),
            server("40/chat,"),
            server(r#"44/x,"Invalid namespace""#),
            client(r#"42/chat,0["join",{"name":"x"}]"#),
            server(r#"43/chat,0[]"#),
            client(r#"451-["file",{"_placeholder":true,"num":0}]"#),
            (Client, Binary, b"\x04\x89PNG"),
            client("2"),
            server("3"),
            client("41/chat,"),
        ],
    },
    // socket.io 4 with socket.io-msgpack-parser.
    Exchange {
        protocol: Protocol::SocketIo,
        subprotocol: None,
        target: "/socket.io/?EIO=4&transport=websocket",
        recognised: true,
        messages: &[
            server(r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#),
            (Client, Binary, b"\x83\xa4type\x00\xa4data\xd4\x00\x00\xa3nsp\xa1/"),
            (Server, Binary, b"\x83\xa4type\x00\xa3nsp\xa1/\xa4data\x81\xa3sid\xa1y"),
            (
                Client,
                Binary,
                b"\x85\xa4type\x02\xa4data\x93\xa4chat\xa5hi <3\xc4\x02\x00\xff\xa7options\x81\xa8compress\xc3\xa2id\x00\xa3nsp\xa1/",
            ),
            (Server, Binary, b"\x84\xa2id\x00\xa4type\x03\xa3nsp\xa1/\xa4data\x91\xa2ok"),
            server("2"),
            client("3"),
            (Client, Binary, b"\x82\xa4type\x01\xa3nsp\xa1/"),
        ],
    },
    // graphql-ws.
    Exchange {
        protocol: Protocol::GraphQlTransportWs,
        subprotocol: Some("graphql-transport-ws"),
        target: "/graphql",
        recognised: true,
        messages: &[
            client(r#"{"type":"connection_init"}"#),
            server(r#"{"type":"connection_ack"}"#),
            client(
                r#"{"id":"ed5a8d7f-4ae7","type":"subscribe","payload":{"operationName":"OnMessage","query":"subscription OnMessage($room: ID!) {\n  messageAdded(room: $room) {\n    ...M\n  }\n}\n\nfragment M on Message {\n  id\n  text\n}","variables":{"room":"1"}}}"#,
            ),
            server(
                r#"{"id":"ed5a8d7f-4ae7","type":"next","payload":{"data":{"messageAdded":{"id":"1","text":"hi"}}}}"#,
            ),
            client(r#"{"type":"ping"}"#),
            server(r#"{"type":"pong"}"#),
            server(r#"{"type":"ping","payload":{}}"#),
            client(r#"{"type":"pong","payload":{}}"#),
            client(r#"{"id":"b","type":"subscribe","payload":{"query":"{ hello }"}}"#),
            server(r#"{"id":"b","type":"next","payload":{"data":{"hello":"world"}}}"#),
            server(r#"{"id":"b","type":"complete"}"#),
            client(r#"{"id":"c","type":"subscribe","payload":{"query":"{ nope }"}}"#),
            server(
                r#"{"id":"c","type":"error","payload":[{"message":"Cannot query field","locations":[{"line":1,"column":3}]}]}"#,
            ),
            client(r#"{"id":"ed5a8d7f-4ae7","type":"complete"}"#),
        ],
    },
    // subscriptions-transport-ws: operations follow the beginning without waiting for its answer.
    Exchange {
        protocol: Protocol::GraphQlWs,
        subprotocol: Some("graphql-ws"),
        target: "/subscriptions",
        recognised: true,
        messages: &[
            client(r#"{"type":"connection_init","payload":{"authToken":"abc"}}"#),
            client(
                r#"{"id":"1","type":"start","payload":{"variables":{},"extensions":{},"operationName":null,"query":"subscription {\n  commentAdded(repoFullName: \"a/b\") {\n    id\n    __typename\n  }\n}\n"}}"#,
            ),
            server(r#"{"type":"connection_ack"}"#),
            server(r#"{"type":"ka"}"#),
            server(r#"{"id":"1","type":"data","payload":{"data":{"commentAdded":{"id":"7"}}}}"#),
            client(r#"{"id":"1","type":"stop"}"#),
            server(r#"{"id":"1","type":"complete","payload":null}"#),
            server(r#"{"id":"2","type":"error","payload":{"message":"bad"}}"#),
            client(r#"{"type":"connection_terminate","payload":null}"#),
        ],
    },
    // @microsoft/signalr with JSON.
    Exchange {
        protocol: Protocol::SignalR,
        subprotocol: None,
        target: "/chatHub?id=0YvE5Gq2wMR9Ztl7fHpRCQ",
        recognised: true,
        messages: &[
            client("{\"protocol\":\"json\",\"version\":1}\x1e"),
            server("{}\x1e"),
            client(
                "{\"arguments\":[\"user\",\"hello\"],\"invocationId\":\"0\",\"target\":\"SendMessage\",\"type\":1}\x1e",
            ),
            server(
                "{\"type\":1,\"target\":\"ReceiveMessage\",\"arguments\":[\"user\",\"hello\"]}\x1e{\"type\":3,\"invocationId\":\"0\",\"result\":null}\x1e",
            ),
            client("{\"arguments\":[10,500],\"invocationId\":\"1\",\"target\":\"Counter\",\"type\":4}\x1e"),
            server("{\"type\":2,\"invocationId\":\"1\",\"item\":0}\x1e"),
            client("{\"invocationId\":\"1\",\"type\":5}\x1e"),
            server("{\"type\":3,\"invocationId\":\"1\"}\x1e"),
            client("{\"arguments\":[],\"streamIds\":[\"2\"],\"target\":\"Upload\",\"type\":1}\x1e"),
            client("{\"invocationId\":\"2\",\"item\":\"x\",\"type\":2}\x1e"),
            client("{\"type\":6}\x1e"),
            server("{\"type\":6}\x1e"),
            server("{\"type\":7,\"error\":\"Connection closed with an error.\",\"allowReconnect\":true}\x1e"),
        ],
    },
    // The same with MessagePack.
    Exchange {
        protocol: Protocol::SignalR,
        subprotocol: None,
        target: "/chatHub?id=x",
        recognised: true,
        messages: &[
            (Client, Binary, b"{\"protocol\":\"messagepack\",\"version\":1}\x1e"),
            (Server, Binary, b"{}\x1e"),
            (Client, Binary, b"\x1e\x96\x01\x80\xa10\xabSendMessage\x92\xa4user\xa5hello\x90"),
            (Server, Binary, b"\x06\x94\x03\x80\xa10\x02\x02\x91\x06"),
            (Server, Binary, b"\x19\x96\x01\x80\xc0\xaeReceiveMessage\x91\x81\xa1n\x07\x90"),
            (Server, Binary, b"\x0a\x95\x03\x80\xa11\x03\x93\x01\x02\xc0"),
            (Client, Binary, b"\x02\x91\x06"),
        ],
    },
    // phoenix.js with serializer 2.
    Exchange {
        protocol: Protocol::Phoenix,
        subprotocol: None,
        target: "/socket/websocket?token=undefined&vsn=2.0.0",
        recognised: true,
        messages: &[
            client(r#"["3","3","room:lobby","phx_join",{}]"#),
            server(r#"["3","3","room:lobby","phx_reply",{"status":"ok","response":{}}]"#),
            server(r#"["3",null,"room:lobby","presence_state",{}]"#),
            client(r#"["3","4","room:lobby","shout",{"body":"[hi]"}]"#),
            server(r#"[null,null,"room:lobby","shout",{"body":"[hi]"}]"#),
            client(r#"[null,"5","phoenix","heartbeat",{}]"#),
            server(r#"[null,"5","phoenix","phx_reply",{"status":"ok","response":{}}]"#),
            (Client, Binary, b"\x00\x01\x01\x0a\x0636room:lobbyupload\x01\x02\x03"),
            (Server, Binary, b"\x01\x01\x01\x0a\x0236room:lobbyok\x01"),
            (Server, Binary, b"\x02\x0a\x05room:lobbyimage\x89PNG"),
            client(r#"["3","7","room:lobby","phx_leave",{}]"#),
            server(r#"["3","3","room:lobby","phx_close",{}]"#),
        ],
    },
    // phoenix.js with serializer 1.
    Exchange {
        protocol: Protocol::Phoenix,
        subprotocol: None,
        target: "/socket/websocket?vsn=1.0.0",
        recognised: true,
        messages: &[
            client(r#"{"topic":"room:1","event":"phx_join","payload":{},"ref":"1","join_ref":"1"}"#),
            server(
                r#"{"topic":"room:1","ref":"1","payload":{"status":"ok","response":{}},"event":"phx_reply"}"#,
            ),
            client(r#"{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"2"}"#),
            server(r#"{"topic":"room:1","ref":null,"payload":{"a":1},"event":"new_msg"}"#),
        ],
    },
    // @rails/actioncable.
    Exchange {
        protocol: Protocol::ActionCable,
        subprotocol: Some("actioncable-v1-json"),
        target: "/cable",
        recognised: true,
        messages: &[
            server(r#"{"type":"welcome"}"#),
            client(
                r#"{"command":"subscribe","identifier":"{\"channel\":\"ChatChannel\",\"room\":\"Best Room\"}"}"#,
            ),
            server(
                r#"{"identifier":"{\"channel\":\"ChatChannel\",\"room\":\"Best Room\"}","type":"confirm_subscription"}"#,
            ),
            server(r#"{"type":"ping","message":1548000000}"#),
            client(
                r#"{"command":"message","identifier":"{\"channel\":\"ChatChannel\",\"room\":\"Best Room\"}","data":"{\"body\":\"hi\",\"action\":\"speak\"}"}"#,
            ),
            server(
                r#"{"identifier":"{\"channel\":\"ChatChannel\",\"room\":\"Best Room\"}","message":{"body":"hi"}}"#,
            ),
            client(
                r#"{"command":"unsubscribe","identifier":"{\"channel\":\"ChatChannel\",\"room\":\"Best Room\"}"}"#,
            ),
            server(r#"{"type":"disconnect","reason":"server_restart","reconnect":true}"#),
        ],
    },
    // sockjs-client with an echo server of sockjs-node.
    Exchange {
        protocol: Protocol::SockJs,
        subprotocol: None,
        target: "/echo/412/k2jf8sd9/websocket",
        recognised: true,
        messages: &[
            server("o"),
            client(r#"["hello","{\"a\":1}"]"#),
            server(r#"a["hello"]"#),
            server("h"),
            server(r#"a["{\"a\":1}"]"#),
            server(r#"c[3000,"Go away!"]"#),
        ],
    },
];
