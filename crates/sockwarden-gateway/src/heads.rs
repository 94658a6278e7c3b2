//! Reading what a client asks for: TLS where it speaks that, then the head of a request, within limits.

use std::io;

use sockwarden_model::Limit;
use sockwarden_net::Stream;
use sockwarden_proto::handshake::{HeadLimits, HeadViolation, RequestHead};
use tokio::{io::AsyncReadExt as _, net::TcpStream, time::timeout};
use tokio_rustls::TlsAcceptor;

use crate::{build::Built, connection::Shared, farewell::linger, pass_through::Kept};

/// Accepts TLS where the first byte asks for it, else leaves the connection plain.
pub(crate) async fn accept(
    tcp: TcpStream,
    acceptor: Option<TlsAcceptor>,
    shared: &Shared,
    built: &Built,
) -> Result<Stream, Unaccepted> {
    // Frames are written whole; waiting for more to send would only delay them.
    let _ = tcp.set_nodelay(true);
    let Some(acceptor) = acceptor else { return Ok(Stream::Plain(tcp)) };
    let mut first = [0];
    tcp.peek(&mut first).await?;
    // A TLS record of the handshake begins with 22 (RFC 8446 §5.1); no request line does.
    if first == [22] {
        let _under_way = shared.admission.begin_tls(built.limits.tls_handshakes)?;
        Ok(Stream::Server(Box::new(acceptor.accept(tcp).await?)))
    } else {
        Ok(Stream::Plain(tcp))
    }
}

/// Why a connection is not served.
#[derive(Debug)]
pub(crate) enum Unaccepted {
    /// There are too many of its kind.
    Beyond(Limit),
    /// It broke, or does not speak TLS.
    Broken,
}

impl From<io::Error> for Unaccepted {
    fn from(_: io::Error) -> Self {
        Self::Broken
    }
}

impl From<Limit> for Unaccepted {
    fn from(limit: Limit) -> Self {
        Self::Beyond(limit)
    }
}

/// Names the limit that a head exceeds, where it is about one.
pub(crate) fn exceeded(violation: HeadViolation) -> Option<Limit> {
    let all = [
        (HeadViolation::TooLarge, Limit::HeadBytes),
        (HeadViolation::TooManyFields, Limit::HeadFields),
        (HeadViolation::TargetTooLong, Limit::HeadTarget),
    ];
    all.into_iter().find(|(known, _)| *known == violation).map(|(_, limit)| limit)
}

/// Why there is no request.
#[derive(Debug)]
pub(crate) enum Unread {
    Malformed(HeadViolation),
    NotHandedOver,
    Ended,
}

/// Reads a request's head and what followed it in the same reads.
pub(crate) async fn read_head(
    stream: &mut Stream,
    mut buffer: Vec<u8>,
    limits: HeadLimits,
) -> Result<(RequestHead, Vec<u8>), Unread> {
    loop {
        match RequestHead::parse(&buffer, limits) {
            Ok(Some((head, length))) => return Ok((head, buffer.split_off(length))),
            Ok(None) => {}
            Err(violation) => return Err(Unread::Malformed(violation)),
        }
        match stream.read_buf(&mut buffer).await {
            Ok(n) if n > 0 => {}
            Ok(_) | Err(_) => return Err(Unread::Ended),
        }
    }
}

/// Waits for the next request on a connection that is kept, until the gateway stops.
pub(crate) async fn next_request(
    shared: &Shared,
    kept: Kept,
    built: &Built,
) -> Option<(Stream, Result<(RequestHead, Vec<u8>), Unread>)> {
    let Kept { mut stream, mut behind, patience: idle } = kept;
    let (patience, limits) = (built.limits.handshake_timeout.get(), built.limits.head.limits());
    let reading = async {
        let has_begun = !behind.is_empty()
            || timeout(idle, stream.read_buf(&mut behind)).await.is_ok_and(|read| read.is_ok_and(|n| n > 0));
        if !has_begun {
            linger(stream).await;
            return None;
        }
        let head = timeout(patience, read_head(&mut stream, behind, limits)).await.ok()?;
        Some((stream, head))
    };
    let mut stopping = shared.stopping.clone();
    tokio::select! {
        biased;
        () = stopping.begins() => None,
        next = reading => next,
    }
}
