//! One function per parser: what must hold of it for any bytes whatsoever.
//!
//! A fuzz target calls one of them and nothing else; the replay of the corpus calls the same.

use sockwarden_proto::{
    ClosePayload, FrameHeader, Limits, MessageKind, OriginHeader, Receiver, Role, Utf8Validator, WsUrl,
    close_payload,
    deflate::{Agreement, InflateLimits, Inflated, Inflater, Offer, Wishes, extensions, offers},
    handshake::{ClientHandshake, HeadLimits, HeadViolation, RequestHead, ResponseHead, UpgradeRequest},
    http::{BodyReader, BodyViolation, Framing},
};

use crate::{Cuts, Random, Transcript, listen};

mod detection;
mod formats;
mod protocols;
mod rules;

pub use detection::detection;
pub use formats::{binary_message, cbor, form, json, message_pack, text_message, xml};
pub use protocols::{graphql, protocols};
pub use rules::seclang;

/// A parser's name, as its fuzz target and its folder of corpus files are called, and what must hold of it.
pub type Parser = (&'static str, fn(&[u8]));

/// Every parser.
pub const ALL: [Parser; 24] = [
    ("binary_message", binary_message),
    ("cbor", cbor),
    ("chunked_body", chunked_body),
    ("close_payload", close),
    ("detection", detection),
    ("extensions", extension_header),
    ("form", form),
    ("frame_header", frame_header),
    ("graphql", graphql),
    ("inflater", inflater),
    ("json", json),
    ("message_pack", message_pack),
    ("origin", origin),
    ("protocols", protocols),
    ("receiver_client", receiver_client),
    ("receiver_deflate", receiver_deflate),
    ("receiver_server", receiver_server),
    ("request_head", request_head),
    ("response_head", response_head),
    ("seclang", seclang),
    ("text_message", text_message),
    ("url", url),
    ("utf8", utf8),
    ("xml", xml),
];

/// A chunked body is the same from any cuts, ends in the same place, and is the same again once it is written anew.
pub fn chunked_body(bytes: &[u8]) {
    let read = |bytes: &[u8], step: usize| -> Result<(Vec<u8>, usize), BodyViolation> {
        let mut reader = BodyReader::new(Framing::Chunked);
        let (mut content, mut taken) = (Vec::new(), 0);
        while !reader.is_done() && taken < bytes.len() {
            let end = bytes.len().min(taken.saturating_add(step));
            let piece = reader.read(&bytes[taken..end])?;
            assert!(
                piece.taken > 0 && piece.taken <= end - taken,
                "it makes progress, and no more than there is"
            );
            content.extend_from_slice(piece.data);
            taken += piece.taken;
        }
        reader.end().map(|()| (content, taken))
    };
    let whole = read(bytes, usize::MAX);
    for step in [1, 3] {
        assert_eq!(read(bytes, step), whole);
    }
    let Ok((content, taken)) = whole else { return };
    assert_eq!(
        read(&bytes[..taken], usize::MAX),
        Ok((content.clone(), taken)),
        "what follows does not count"
    );
    assert_eq!(read(&bytes[..taken - 1], usize::MAX), Err(BodyViolation::Truncated));
    let mut anew = Vec::new();
    if !content.is_empty() {
        anew.extend_from_slice(format!("{:x}\r\n", content.len()).as_bytes());
        anew.extend_from_slice(&content);
        anew.extend_from_slice(b"\r\n");
    }
    anew.extend_from_slice(b"0\r\n\r\n");
    assert_eq!(read(&anew, usize::MAX), Ok((content, anew.len())));
}

/// A header is written as it was read, and is incomplete in every shorter prefix.
pub fn frame_header(bytes: &[u8]) {
    let Some((header, length)) = FrameHeader::parse(bytes) else {
        assert!(bytes.len() < FrameHeader::MAX_LEN);
        return;
    };
    let mut out = Vec::new();
    header.encode(&mut out);
    assert_eq!(out, bytes[..length]);
    for shorter in 0..length {
        assert_eq!(FrameHeader::parse(&bytes[..shorter]), None);
    }
}

/// A client reads the same facts from any cuts of a server's bytes.
pub fn receiver_client(bytes: &[u8]) {
    receiver(Role::Client, bytes);
}

/// A server reads the same facts from any cuts of a client's bytes.
pub fn receiver_server(bytes: &[u8]) {
    receiver(Role::Server, bytes);
}

/// A server that agreed to permessage-deflate reads the same facts from any cuts of a client's bytes.
pub fn receiver_deflate(bytes: &[u8]) {
    let limits = Limits { frame: 2048, message: 4096 };
    let inflate = InflateLimits { output: 4096, ratio: 20, ratio_floor: 256, overhead: 512 };
    hear(limits, bytes, || Receiver::new(Role::Server, limits).with_inflater(Inflater::new(true, inflate)));
}

fn receiver(role: Role, bytes: &[u8]) {
    let limits = Limits { frame: 2048, message: 4096 };
    hear(limits, bytes, || Receiver::new(role, limits));
}

fn hear(limits: Limits, bytes: &[u8], receiver: impl Fn() -> Receiver) {
    let whole = listen(&mut receiver(), bytes, Cuts::Whole, |_| false);
    check_transcript(&whole, limits);
    let seed = bytes.iter().fold(bytes.len() as u64, |seed, &byte| seed.rotate_left(5) ^ u64::from(byte));
    for cuts in [Cuts::Every(1), Cuts::Every(3), Cuts::Random(Random::new(seed), 40)] {
        let cut = listen(&mut receiver(), bytes, cuts, |_| false);
        assert_eq!(cut, whole);
    }
    let stopped = listen(&mut receiver(), bytes, Cuts::Whole, |_| true);
    assert_eq!(stopped, whole);
}

/// Any bytes inflate to the same within the limits, twice in one context, however they are cut and whatever room there is.
pub fn inflater(bytes: &[u8]) {
    let limits = InflateLimits { output: 5000, ratio: 50, ratio_floor: 1000, overhead: 500 };
    for takeover in [true, false] {
        let inflate_in = |cut: usize, room: usize| {
            let mut inflater = Inflater::new(takeover, limits);
            let first = inflate_message(&mut inflater, bytes, cut, room);
            (first, inflate_message(&mut inflater, bytes, cut, room))
        };
        let whole = inflate_in(bytes.len().max(1), 8192);
        let most = limits.output.min(1000.max(bytes.len() as u64 * 50)) as usize;
        for message in [&whole.0, &whole.1] {
            assert!(message.0.len() <= most);
        }
        for (cut, room) in [(1, 8192), (1, 1), (7, 100), (bytes.len().max(1), 1)] {
            assert_eq!(inflate_in(cut, room), whole, "{cut}/{room}");
        }
    }
}

/// Gives what a message holds, as far as it was inflated, and how it failed.
fn inflate_message(
    inflater: &mut Inflater,
    payload: &[u8],
    cut: usize,
    room: usize,
) -> (Vec<u8>, Option<Inflated<'static>>) {
    inflater.announce(payload.len() as u64);
    let (mut held, mut buffer, mut at) = (Vec::new(), vec![0; room], 0);
    loop {
        let end = payload.len().min(at + cut);
        match inflater.inflate(&payload[at..end], end == payload.len(), &mut buffer) {
            Inflated::Bytes { taken, bytes, done } => {
                held.extend_from_slice(bytes);
                at += taken;
                if done && at == payload.len() {
                    return (held, None);
                }
            }
            Inflated::TooBig => return (held, Some(Inflated::TooBig)),
            Inflated::RatioExceeded => return (held, Some(Inflated::RatioExceeded)),
            Inflated::OverheadExceeded => return (held, Some(Inflated::OverheadExceeded)),
            Inflated::Corrupt => return (held, Some(Inflated::Corrupt)),
            Inflated::AfterFinalBlock => return (held, Some(Inflated::AfterFinalBlock)),
        }
    }
}

/// An offer that is read and written is the same offer; it allows what accepts it, and that is read as it was written.
pub fn extension_header(bytes: &[u8]) {
    let Ok(found) = extensions([bytes]) else { return };
    assert!(!found.is_empty());
    for offer in offers(&found) {
        let written = offer.to_string();
        let again = extensions([written.as_bytes()]).map(|again| offers(&again));
        assert_eq!(again, Ok(vec![offer]));
        for wishes in [Wishes::NONE, Wishes::NO_CONTEXT] {
            let answer = offer.accept(&wishes);
            assert_eq!(offer.allows(&answer), Ok(()));
            let read = extensions([answer.to_string().as_bytes()]);
            assert_eq!(read.map(|read| Agreement::verify(&[offer], &read)), Ok(Ok(Some(answer))));
        }
    }
    // A server may answer anything.
    let _ = Agreement::verify(&[Offer::default()], &found);
}

/// What any transcript keeps to: texts are UTF-8, messages within the limit, nothing after the end.
fn check_transcript(transcript: &Transcript, limits: Limits) {
    for (kind, bytes) in transcript.messages() {
        assert!(bytes.len() as u64 <= limits.message);
        assert!(kind == MessageKind::Binary || std::str::from_utf8(&bytes).is_ok());
    }
    let ends = usize::from(transcript.violation().is_some()) + usize::from(transcript.is_closed());
    assert!(ends <= 1);
}

/// A request's head reads the same when written anew, and no prefix of it says otherwise; its judgement does not panic.
pub fn request_head(bytes: &[u8]) {
    let limits = HeadLimits::default();
    let whole = RequestHead::parse(bytes, limits);
    check_head(bytes, limits, &whole, |prefix| RequestHead::parse(prefix, limits));
    if let Ok(Some((head, length))) = whole {
        let mut again =
            format!("{} {} HTTP/1.{}\r\n", head.method, head.target, head.minor_version).into_bytes();
        write_fields(&head.headers, &mut again);
        // Written anew without blanks it is no longer than before.
        assert_eq!(
            RequestHead::parse(&again, limits).map(|read| read.map(|(head, _)| head)),
            Ok(Some(head.clone()))
        );
        let request = UpgradeRequest::judge(head, bytes.len() - length);
        let _ = (request.protocols(), request.key().len());
    }
}

/// As [`request_head`], for a response.
pub fn response_head(bytes: &[u8]) {
    let limits = HeadLimits::default();
    let whole = ResponseHead::parse(bytes, limits);
    check_head(bytes, limits, &whole, |prefix| ResponseHead::parse(prefix, limits));
    if let Ok(Some((head, _))) = whole {
        let mut again = format!("HTTP/1.{} {} ", head.minor_version, head.status).into_bytes();
        again.extend_from_slice(&head.reason);
        again.extend_from_slice(b"\r\n");
        write_fields(&head.headers, &mut again);
        let roomy = HeadLimits { bytes: limits.bytes + 1, ..limits };
        assert_eq!(
            ResponseHead::parse(&again, roomy).map(|read| read.map(|(head, _)| head)),
            Ok(Some(head.clone()))
        );
        let _ = ClientHandshake::new("a.example", "/", "dGhlIHNhbXBsZSBub25jZQ==").verify(&head);
    }
}

type Read<H> = Result<Option<(H, usize)>, HeadViolation>;

/// Checks that what is read does not depend on when it is read.
fn check_head<H: PartialEq + std::fmt::Debug>(
    bytes: &[u8],
    limits: HeadLimits,
    whole: &Read<H>,
    parse: impl Fn(&[u8]) -> Read<H>,
) {
    let end = match whole {
        Ok(Some((_, length))) => {
            assert!(*length <= bytes.len().min(limits.bytes));
            assert_eq!(parse(&bytes[..*length]), *whole, "what follows a head changes nothing");
            *length
        }
        Ok(None) | Err(_) => bytes.len().min(limits.bytes + 1),
    };
    // Every prefix of a short head, some of a long one: each is read from its start.
    for shorter in (0..end).step_by(1 + end / 1024) {
        let read = parse(&bytes[..shorter]);
        assert!(
            matches!(read, Ok(None)) || read == *whole,
            "a prefix of {shorter} bytes: {read:?}, then {whole:?}"
        );
    }
}

fn write_fields(headers: &sockwarden_proto::handshake::Headers, out: &mut Vec<u8>) {
    for header in &headers.0 {
        out.extend_from_slice(header.name.as_bytes());
        out.push(b':');
        out.extend_from_slice(&header.value);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// A URL that is read and written is the same URL.
pub fn url(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(url) = text.parse::<WsUrl>() {
        assert_eq!(url.to_string().parse(), Ok(url.clone()));
        assert!(url.target.starts_with('/') && url.target.bytes().all(|b| b.is_ascii_graphic()));
        assert!(url.authority().bytes().all(|b| b.is_ascii_graphic()));
        assert!(matches!(OriginHeader::parse(url.web_origin().as_bytes()), OriginHeader::Origin(_)));
    }
}

/// An origin that is read and written is the same origin.
pub fn origin(bytes: &[u8]) {
    if let OriginHeader::Origin(origin) = OriginHeader::parse(bytes) {
        let written = origin.to_string();
        assert_eq!(OriginHeader::parse(written.as_bytes()), OriginHeader::Origin(origin));
    }
}

/// A close frame's payload is built from what was read of it.
pub fn close(bytes: &[u8]) {
    // The receiver gives it no more than a control frame holds.
    let bytes = &bytes[..bytes.len().min(125)];
    if let Ok(ClosePayload { code, reason }) = ClosePayload::parse(bytes) {
        let built = code.map(|code| close_payload(code, reason)).unwrap_or_default();
        assert_eq!(built, bytes);
    }
}

/// The validator agrees with the standard library on any text cut anywhere.
pub fn utf8(bytes: &[u8]) {
    let expected = std::str::from_utf8(bytes);
    for size in [1, 2, 3, 7, bytes.len().max(1)] {
        let mut validator = Utf8Validator::default();
        let mut taken = 0;
        for piece in bytes.chunks(size) {
            let valid = validator.push_valid(piece);
            taken += valid;
            if valid < piece.len() {
                break;
            }
        }
        match expected {
            Ok(_) => assert!(taken == bytes.len() && validator.is_complete()),
            Err(error) if error.error_len().is_none() => {
                assert!(taken == bytes.len() && !validator.is_complete());
            }
            Err(error) => assert!(taken >= error.valid_up_to() && taken < error.valid_up_to() + 4),
        }
    }
}
