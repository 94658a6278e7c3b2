//! What real clients and servers of brokers and devices say.

use sockwarden_model::Direction::{Client, Server};
use sockwarden_proto::MessageKind::Binary;

use super::{
    Protocol,
    samples::{Exchange, client, server},
};

/// Every exchange of brokers and devices.
pub(super) static EXCHANGES: &[Exchange] = &[
    // stompjs and Spring's simple broker.
    Exchange {
        protocol: Protocol::Stomp,
        subprotocol: Some("v12.stomp"),
        target: "/ws",
        recognised: true,
        messages: &[
            client("CONNECT\naccept-version:1.2,1.1,1.0\nheart-beat:10000,10000\n\n\0"),
            server("CONNECTED\nversion:1.2\nheart-beat:0,0\nuser-name:ann\n\n\0"),
            client("SUBSCRIBE\nid:sub-0\ndestination:/user/queue/replies\n\n\0"),
            client(
                "SEND\ndestination:/app/hello\ncontent-type:application/json\ncontent-length:14\n\n{\"name\":\"Ann\"}\0",
            ),
            server(
                "MESSAGE\ndestination:/user/queue/replies\ncontent-type:application/json\nsubscription:sub-0\nmessage-id:d1-0\ncontent-length:18\n\n{\"hi\":\"\u{e9} \\u00e9\"}\0",
            ),
            client("\n"),
            server("\n"),
            client("UNSUBSCRIBE\nid:sub-0\n\n\0"),
            client("DISCONNECT\nreceipt:close-1\n\n\0"),
            server("RECEIPT\nreceipt-id:close-1\n\n\0"),
        ],
    },
    // The older stomp-websocket, and RabbitMQ.
    Exchange {
        protocol: Protocol::Stomp,
        subprotocol: Some("v11.stomp"),
        target: "/stomp/websocket",
        recognised: true,
        messages: &[
            client(
                "CONNECT\nlogin:guest\npasscode:guest\naccept-version:1.1,1.0\nheart-beat:10000,10000\n\n\0",
            ),
            server(
                "CONNECTED\nserver:RabbitMQ/3.12.1\nsession:session-x\nheart-beat:10000,10000\nversion:1.1\n\n\0",
            ),
            client("SUBSCRIBE\nack:client\nid:sub-0\ndestination:/topic/a.b\n\n\0"),
            client("SEND\npriority:9\ndestination:/topic/a.b\ncontent-length:5\n\nhello\0"),
            server(
                "MESSAGE\nsubscription:sub-0\ndestination:/topic/a.b\nmessage-id:T_sub-0@@session-x@@1\nredelivered:false\npriority:9\ncontent-length:5\n\nhello\0\n",
            ),
            client("ACK\nmessage-id:T_sub-0@@session-x@@1\nsubscription:sub-0\n\n\0"),
            client("DISCONNECT\n\n\0"),
        ],
    },
    // mqtt.js with version 3.1.1, and mosquitto.
    Exchange {
        protocol: Protocol::Mqtt,
        subprotocol: Some("mqtt"),
        target: "/mqtt",
        recognised: true,
        messages: &[
            (Client, Binary, b"\x10\x19\0\x04MQTT\x04\x02\0\x3c\0\x0dmqttjs_0a1b2c"),
            (Server, Binary, b"\x20\x02\0\0"),
            (Client, Binary, b"\x82\x0d\x2a\x2a\0\x08presence\0"),
            (Server, Binary, b"\x90\x03\x2a\x2a\0"),
            (Client, Binary, b"\x30\x14\0\x08presenceHello mqtt"),
            (Server, Binary, b"\x30\x14\0\x08presenceHello mqtt"),
            (Client, Binary, b"\xc0\0"),
            (Server, Binary, b"\xd0\0"),
            (Client, Binary, b"\xe0\0"),
        ],
    },
    // The same with version 5: what a server allows, and an alias of its own.
    Exchange {
        protocol: Protocol::Mqtt,
        subprotocol: Some("mqtt"),
        target: "/",
        recognised: true,
        messages: &[
            (Client, Binary, b"\x10\x16\0\x04MQTT\x05\x02\0\x3c\x08\x21\0\x14\x22\0\x0a\x17\x01\0\x01c"),
            (Server, Binary, b"\x20\x0b\0\0\x08\x22\0\x0a\x21\0\x14\x2a\x01"),
            (Client, Binary, b"\x82\x07\0\x01\0\0\x01#\x01"),
            (Server, Binary, b"\x90\x04\0\x01\0\x01"),
            (Server, Binary, b"\x32\x0b\0\x01t\0\x09\x03\x23\0\x01hi"),
            (Client, Binary, b"\x40\x02\0\x09"),
            (Server, Binary, b"\x32\x0a\0\0\0\x0a\x03\x23\0\x01hi"),
            (Client, Binary, b"\x40\x03\0\x0a\0"),
            (Client, Binary, b"\xe0\0"),
        ],
    },
    // autobahn and Crossbar.
    Exchange {
        protocol: Protocol::Wamp,
        subprotocol: Some("wamp.2.json"),
        target: "/ws",
        recognised: true,
        messages: &[
            client(
                r#"[1,"realm1",{"roles":{"caller":{"features":{"progressive_call_results":true}},"subscriber":{}}}]"#,
            ),
            server(
                r#"[2,5871340471532032,{"authid":"x","authrole":"anonymous","roles":{"broker":{"features":{}}}}]"#,
            ),
            client(r#"[32,1,{},"com.example.oncounter"]"#),
            server("[33,1,3161406143921231]"),
            server(r#"[36,3161406143921231,1219483413475741,{},[7]]"#),
            client(r#"[64,2,{},"com.example.add2"]"#),
            server("[65,2,5671640923751347]"),
            client(r#"[48,3,{},"com.example.mul2",[3,4],{}]"#),
            server(r#"[50,3,{},[12]]"#),
            server(r#"[68,1,5671640923751347,{},[1,2]]"#),
            client("[70,1,{},[3]]"),
            client(r#"[6,{},"wamp.close.normal"]"#),
            server(r#"[6,{},"wamp.close.goodbye_and_out"]"#),
        ],
    },
    // The same in MessagePack.
    Exchange {
        protocol: Protocol::Wamp,
        subprotocol: Some("wamp.2.msgpack"),
        target: "/ws",
        recognised: true,
        messages: &[
            (Client, Binary, b"\x93\x01\xa6realm1\x81\xa5roles\x81\xaasubscriber\x80"),
            (Server, Binary, b"\x93\x02\x07\x81\xa5roles\x81\xa6broker\x80"),
            (Client, Binary, b"\x94\x20\x01\x80\xa5a.b.c"),
            (Server, Binary, b"\x93\x21\x01\xcf\x00\x0b\x3b\x28\xa8\xb6\xf0\x01"),
            (Server, Binary, b"\x95\x24\xcf\x00\x0b\x3b\x28\xa8\xb6\xf0\x01\xcd\x01\x00\x80\x91\x81\xa1n\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00"),
            (Client, Binary, b"\x93\x06\x80\xb1wamp.close.normal"),
        ],
    },
    // Two messages of a batch.
    Exchange {
        protocol: Protocol::Wamp,
        subprotocol: Some("wamp.2.msgpack.batched"),
        target: "/ws",
        recognised: false,
        messages: &[
            (Client, Binary, b"\x00\x00\x00\x11\x93\x01\xa6realm1\x81\xa5roles\x80"),
            (Server, Binary, b"\x00\x00\x00\x0b\x93\x02\x07\x81\xa5roles\x80"),
            (Client, Binary, b"\x00\x00\x00\x07\x94\x10\x01\x80\xa2tu\x00\x00\x00\x0a\x95\x10\x02\x80\xa2tv\x92\x01\xc0"),
        ],
    },
    // A station of 1.6.
    Exchange {
        protocol: Protocol::Ocpp,
        subprotocol: Some("ocpp1.6"),
        target: "/ocpp/CP-1",
        recognised: true,
        messages: &[
            client(
                r#"[2,"19223201","BootNotification",{"chargePointVendor":"VendorX","chargePointModel":"SingleSocketCharger"}]"#,
            ),
            server(
                r#"[3,"19223201",{"status":"Accepted","currentTime":"2013-02-01T20:53:32.486Z","heartbeatInterval":300}]"#,
            ),
            client(
                r#"[2,"b7","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available"}]"#,
            ),
            server(r#"[3,"b7",{}]"#),
            server(r#"[2,"c0ffee00-0000-4000-8000-000000000001","RemoteStartTransaction",{"idTag":"A1"}]"#),
            client(r#"[3,"c0ffee00-0000-4000-8000-000000000001",{"status":"Accepted"}]"#),
            client(r#"[2,"d","DataTransfer",{"vendorId":"com.vendor","data":"{\"a\":1}"}]"#),
            server(r#"[4,"d","NotImplemented","",{}]"#),
        ],
    },
    // A station of 2.0.1.
    Exchange {
        protocol: Protocol::Ocpp,
        subprotocol: Some("ocpp2.0.1"),
        target: "/CS001",
        recognised: true,
        messages: &[
            client(
                r#"[2,"1","TransactionEvent",{"eventType":"Started","seqNo":0,"transactionInfo":{"transactionId":"t"}}]"#,
            ),
            server(r#"[3,"1",{}]"#),
            server(r#"[2,"2","GetVariables",{"getVariableData":[]}]"#),
            client(r#"[4,"2","FormatViolation","empty",{}]"#),
        ],
    },
    // kubectl exec -it.
    Exchange {
        protocol: Protocol::Kubernetes,
        subprotocol: Some("v5.channel.k8s.io"),
        target: "/api/v1/namespaces/default/pods/web/exec?command=sh&stdin=true&stdout=true&tty=true",
        recognised: false,
        messages: &[
            (Server, Binary, b"\x01"),
            (Client, Binary, b"\x04{\"Width\":120,\"Height\":40}"),
            (Client, Binary, b"\x00ls\r"),
            (Server, Binary, b"\x01ls\r\nbin  etc\r\n/ # \x1b[6n"),
            (Client, Binary, b"\xff\x00"),
            (Server, Binary, b"\x03{\"metadata\":{},\"status\":\"Success\"}"),
        ],
    },
    // Puppeteer and Chrome.
    Exchange {
        protocol: Protocol::Cdp,
        subprotocol: None,
        target: "/devtools/browser/0f3b7d4c-1c5e-4b8a-9e2f-3d6a7b8c9d0e",
        recognised: true,
        messages: &[
            client(r#"{"method":"Browser.getVersion","params":{},"id":1}"#),
            server(
                r#"{"id":1,"result":{"protocolVersion":"1.3","product":"Chrome/120.0","revision":"@1","userAgent":"M","jsVersion":"12.0"}}"#,
            ),
            client(r#"{"method":"Target.attachToTarget","params":{"targetId":"A","flatten":true},"id":2}"#),
            server(
                r#"{"method":"Target.attachedToTarget","params":{"sessionId":"S","targetInfo":{"targetId":"A"},"waitingForDebugger":false}}"#,
            ),
            server(r#"{"id":2,"result":{"sessionId":"S"}}"#),
            client(r#"{"method":"Page.enable","params":{},"id":3,"sessionId":"S"}"#),
            server(r#"{"id":3,"result":{},"sessionId":"S"}"#),
            client(r#"{"method":"Runtime.evaluate","params":{"expression":"1+1"},"id":4,"sessionId":"S"}"#),
            server(r#"{"id":4,"error":{"code":-32000,"message":"Cannot find context"},"sessionId":"S"}"#),
        ],
    },
];
