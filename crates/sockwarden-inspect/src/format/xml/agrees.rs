//! What quick-xml writes and what it refuses.

use proptest::prelude::*;
use quick_xml::{
    Reader, Writer,
    events::{BytesCData, BytesStart, BytesText, Event},
};

use super::{Claim, whole};
use crate::testing::{Flat, flat};

/// What an element holds.
#[derive(Clone, Debug)]
enum Node {
    Element(String, Vec<(String, String)>, Vec<Node>),
    Text(String),
    CData(String),
}

fn node() -> impl Strategy<Value = Node> {
    let name = || "[a-zA-Z_\u{e9}][a-zA-Z0-9_.:-]{0,6}";
    let text = || "[ -~\u{a0}-\u{ff}\u{4e00}\n]{0,30}";
    let leaf = prop_oneof![
        text().prop_map(Node::Text),
        text().prop_filter("it ends the section", |text| !text.contains("]]>")).prop_map(Node::CData),
    ];
    let element = move |inner: BoxedStrategy<Node>| {
        let attributes = prop::collection::btree_map(name(), text(), 0..4);
        (name(), attributes, prop::collection::vec(inner, 0..5)).prop_map(|(name, attributes, inner)| {
            Node::Element(name, attributes.into_iter().collect(), inner)
        })
    };
    let inner = leaf.prop_recursive(4, 30, 5, move |inner| element(inner.boxed()));
    let outermost = prop::collection::vec(inner, 0..5);
    (name(), outermost).prop_map(|(name, inner)| Node::Element(name, Vec::new(), inner))
}

fn write(writer: &mut Writer<Vec<u8>>, node: &Node) {
    match node {
        Node::Text(text) => writer.write_event(Event::Text(BytesText::new(text))).unwrap(),
        Node::CData(text) => writer.write_event(Event::CData(BytesCData::new(text))).unwrap(),
        Node::Element(name, attributes, inner) => {
            let mut start = BytesStart::new(name);
            attributes.iter().for_each(|(name, value)| start.push_attribute((name.as_str(), value.as_str())));
            let end = start.to_end().into_owned();
            writer.write_event(Event::Start(start.clone())).unwrap();
            inner.iter().for_each(|node| write(writer, node));
            writer.write_event(Event::End(end)).unwrap();
        }
    }
}

fn written(node: &Node) -> Vec<u8> {
    let mut writer = Writer::new(b"<?xml version=\"1.0\"?>".to_vec());
    write(&mut writer, node);
    writer.into_inner()
}

fn leaves(node: &Node, at: &str, out: &mut Vec<String>) {
    let told = |at: &str, text: &str| format!("{at} String {}", text.as_bytes().escape_ascii());
    match node {
        // Texts beside each other are one.
        Node::Text(text) | Node::CData(text) => out.push(told(at, text)),
        Node::Element(name, attributes, inner) => {
            let at = format!("{at}/{name}");
            out.push(format!("{at} key {}", name.as_bytes().escape_ascii()));
            for (name, value) in attributes {
                out.push(format!("{at}/@{name} key {}", name.as_bytes().escape_ascii()));
                out.push(told(&format!("{at}/@{name}"), value));
            }
            inner.iter().for_each(|node| leaves(node, &at, out));
        }
    }
}

/// A document in which no two texts stand beside each other, and none is blank: there it would not show which is whose.
fn is_apart(node: &Node) -> bool {
    let Node::Element(_, _, inner) = node else { return true };
    let text = |node: &Node| matches!(node, Node::Text(_));
    !inner.windows(2).any(|two| two.iter().all(text))
        && inner.iter().all(|node| match node {
            Node::Text(text) => !text.trim_ascii().is_empty(),
            Node::CData(_) => true,
            Node::Element(..) => is_apart(node),
        })
}

fn declared(bytes: &[u8]) -> Flat {
    flat(|walk, bytes| whole(walk, bytes, Claim::Declared), bytes)
}

/// Tells whether quick-xml refuses a text, attributes included.
fn is_refused(text: &str) -> bool {
    let mut reader = Reader::from_str(text);
    loop {
        match reader.read_event() {
            Err(_) => return true,
            Ok(Event::Eof) => return false,
            Ok(Event::Start(start) | Event::Empty(start)) => {
                if start.attributes().any(|attribute| attribute.is_err()) {
                    return true;
                }
            }
            Ok(_) => {}
        }
    }
}

proptest! {
    #[test]
    fn what_quick_xml_writes_is_read_as_it_was_meant(node in node().prop_filter("apart", is_apart)) {
        let mut expected = vec!["/?xml String version=\\\"1.0\\\"".to_owned()];
        leaves(&node, "", &mut expected);
        let bytes = written(&node);
        let flat = declared(&bytes);
        prop_assert_eq!(flat.values, expected, "{}", bytes.escape_ascii());
        prop_assert_eq!(flat.anomalies, []);
    }

    #[test]
    fn what_quick_xml_refuses_is_told(node in node(), at: prop::sample::Index, byte in 0_u8..0x80, cut: bool) {
        let mut bytes = written(&node);
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        let Ok(text) = std::str::from_utf8(&bytes) else { return Ok(()) };
        let flat = declared(&bytes);
        prop_assert!(!is_refused(text) || !flat.anomalies.is_empty(), "{}", text);
        prop_assert!(!cut || !flat.anomalies.is_empty(), "{}", text);
    }
}
