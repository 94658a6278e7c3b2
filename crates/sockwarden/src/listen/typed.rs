//! What a person types: messages, and commands that begin with `/`.

use sockwarden_model::printable_text;
use sockwarden_proto::CloseCode;

/// A line of input, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Close(CloseCode, String),
}

/// Why a line is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TypedError {
    #[error(
        "there is no command `{0}`: /close [CODE [REASON]], /ping [TEXT], /binary HEX; `//` begins a text with `/`"
    )]
    Command(String),
    #[error("bytes are written as pairs of hexadecimal digits, with blanks between them or not")]
    Hex,
    #[error("a close code is 1000 to 1003, 1007 to 1014 or 3000 to 4999")]
    Code,
    #[error("a {0} has at most {1} bytes")]
    TooLong(&'static str, usize),
}

impl Typed {
    /// Reads a line; in a `binary` input what is no command is hexadecimal digits.
    pub(crate) fn read(line: &str, binary: bool) -> Result<Self, TypedError> {
        let Some(command) = line.strip_prefix('/') else {
            return if binary { hex(line).map(Self::Binary) } else { Ok(Self::Text(line.to_owned())) };
        };
        if command.starts_with('/') {
            return Ok(Self::Text(command.to_owned()));
        }
        let (name, rest) = command.split_once(' ').unwrap_or((command, ""));
        let rest = rest.trim();
        match name {
            "binary" => hex(rest).map(Self::Binary),
            "ping" if rest.len() > 125 => Err(TypedError::TooLong("ping", 125)),
            "ping" => Ok(Self::Ping(rest.as_bytes().to_vec())),
            "close" => {
                let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
                let code = if code.is_empty() { CloseCode::NORMAL } else { close_code(code)? };
                let reason = reason.trim();
                if reason.len() > 123 {
                    return Err(TypedError::TooLong("reason", 123));
                }
                Ok(Self::Close(code, reason.to_owned()))
            }
            _ => Err(TypedError::Command(printable_text(&format!("/{name}"), 20))),
        }
    }
}

fn close_code(text: &str) -> Result<CloseCode, TypedError> {
    text.parse().ok().map(CloseCode).filter(|code| code.may_be_sent()).ok_or(TypedError::Code)
}

fn hex(text: &str) -> Result<Vec<u8>, TypedError> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|letter| !letter.is_ascii_whitespace())
        .map(|letter| letter.to_digit(16).and_then(|digit| u8::try_from(digit).ok()).ok_or(TypedError::Hex))
        .collect::<Result<_, _>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    if rest.is_empty() {
        Ok(pairs.iter().map(|[high, low]| high << 4 | low).collect())
    } else {
        Err(TypedError::Hex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_message_or_a_command() {
        let check =
            |line: &str, expected: Typed| assert_eq!(Typed::read(line, false), Ok(expected), "{line}");
        check("hello /close", Typed::Text("hello /close".into()));
        check("", Typed::Text(String::new()));
        check("//close", Typed::Text("/close".into()));
        check("/close", Typed::Close(CloseCode::NORMAL, String::new()));
        check("/close 4001 see you", Typed::Close(CloseCode(4001), "see you".into()));
        check("/ping", Typed::Ping(Vec::new()));
        check("/ping are you there", Typed::Ping(b"are you there".to_vec()));
        check("/binary 00 fF0a", Typed::Binary(vec![0, 0xff, 0x0a]));
        check("/binary", Typed::Binary(Vec::new()));
    }

    #[test]
    fn lines_of_a_binary_input_are_digits_and_commands_stay() {
        assert_eq!(Typed::read("0102", true), Ok(Typed::Binary(vec![1, 2])));
        assert_eq!(Typed::read("/ping", true), Ok(Typed::Ping(Vec::new())));
        assert_eq!(Typed::read("hello", true), Err(TypedError::Hex));
    }

    #[test]
    fn what_is_not_understood_is_not_sent() {
        let check =
            |line: &str, expected: TypedError| assert_eq!(Typed::read(line, false), Err(expected), "{line}");
        check("/quit now", TypedError::Command("/quit".into()));
        check("/", TypedError::Command("/".into()));
        check("/binary 0", TypedError::Hex);
        check("/binary 0x00", TypedError::Hex);
        check("/close 1005", TypedError::Code);
        check("/close bye", TypedError::Code);
        check(&format!("/close 1000 {}", "x".repeat(124)), TypedError::TooLong("reason", 123));
        check(&format!("/ping {}", "x".repeat(126)), TypedError::TooLong("ping", 125));
    }
}
