//! Bearer tokens: read from files that only their owner can read, kept as digests, compared in constant time.

use std::{
    fs::OpenOptions,
    io::{self, Read as _, Write as _},
    path::Path,
};

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{Digest, SHA256, digest},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sockwarden_model::Role;

/// How many random bytes a new token is made of.
pub const TOKEN_BYTES: usize = 32;

/// What a token begins with, so that scanners for secrets know one.
const PREFIX: &str = "sockwarden_";
const SHORTEST: usize = 32;
const LONGEST: usize = 1024;

/// Why a file gives no token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("others can read it (mode {0:03o})")]
    Exposed(u32),
    #[error("it is not a file")]
    NotAFile,
    #[error("a token has at least {SHORTEST} characters")]
    Short,
    #[error("a token has at most {LONGEST} characters")]
    Long,
    #[error("a token is one word of visible ASCII characters")]
    Characters,
}

/// The tokens of a listener, by role.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tokens {
    pub(crate) operator: Option<Token>,
    pub(crate) issuer: Option<Token>,
    pub(crate) viewer: Option<Token>,
}

/// A token's digest; the token itself is not kept.
#[derive(Clone, Debug)]
pub(crate) struct Token(Digest);

impl Token {
    /// Reads a token file; blanks around the token do not count.
    pub(crate) fn read(path: &Path) -> Result<Self, TokenError> {
        let file = std::fs::File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(TokenError::NotAFile);
        }
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::MetadataExt::mode(&metadata) & 0o777;
            if mode & 0o077 != 0 {
                return Err(TokenError::Exposed(mode));
            }
        }
        let mut bytes = Vec::new();
        file.take(2 * LONGEST as u64).read_to_end(&mut bytes)?;
        Self::new(std::str::from_utf8(&bytes).map_err(|_| TokenError::Characters)?.trim())
    }

    fn new(text: &str) -> Result<Self, TokenError> {
        match text.len() {
            ..SHORTEST => Err(TokenError::Short),
            SHORTEST..=LONGEST if text.bytes().all(|b| b.is_ascii_graphic()) => Ok(Self::of(text.as_bytes())),
            SHORTEST..=LONGEST => Err(TokenError::Characters),
            _ => Err(TokenError::Long),
        }
    }

    fn of(bytes: &[u8]) -> Self {
        Self(digest(&SHA256, bytes))
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        verify_slices_are_equal(self.0.as_ref(), other.0.as_ref()).is_ok()
    }
}

impl Tokens {
    /// Tells whether both know the same tokens.
    pub(crate) fn are(&self, other: &Self) -> bool {
        let same = |ours: &Option<Token>, theirs: &Option<Token>| match (ours, theirs) {
            (Some(ours), Some(theirs)) => ours.is(theirs),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        same(&self.operator, &other.operator)
            && same(&self.issuer, &other.issuer)
            && same(&self.viewer, &other.viewer)
    }

    /// Tells whose token an Authorization header carries, in a time that does not depend on where tokens differ.
    pub(crate) fn role(&self, header: &[u8]) -> Option<Role> {
        let (scheme, given) = header.split_at_checked("Bearer ".len())?;
        if !scheme.eq_ignore_ascii_case(b"Bearer ") {
            return None;
        }
        let given = Token::of(given.trim_ascii());
        let roles =
            [(Role::Operator, &self.operator), (Role::Issuer, &self.issuer), (Role::Viewer, &self.viewer)];
        // Each is compared, whichever it is; no two are the same.
        let is_given = |token: &Option<Token>| token.as_ref().is_some_and(|token| token.is(&given));
        roles.map(|(role, token)| is_given(token).then_some(role)).into_iter().flatten().next()
    }
}

/// Makes a token from random bytes and writes it to a new file that only its owner can read.
///
/// # Errors
/// The file exists, or cannot be written.
pub fn write_new(path: &Path, random: [u8; TOKEN_BYTES]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(random))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPERATOR: &str = "an operator's token/of at least 32 characters";

    fn token(text: &str) -> Token {
        Token::of(text.as_bytes())
    }

    impl Tokens {
        /// Gives tokens that read as the names of their roles.
        pub(crate) fn of_roles() -> Self {
            let token = |text: &str| Some(token(text));
            Self { operator: token("operator"), issuer: token("issuer"), viewer: token("viewer") }
        }
    }

    #[test]
    fn a_token_is_one_long_word() {
        let check = |text: &str, ok: bool| assert_eq!(Token::new(text).is_ok(), ok, "{text}");
        check(&"x".repeat(31), false);
        check(&"x".repeat(32), true);
        check(&"x".repeat(1024), true);
        check(&"x".repeat(1025), false);
        check(&"x y".repeat(32), false);
        check(&"é".repeat(32), false);
        check("", false);
    }

    #[test]
    fn a_header_has_the_role_of_its_token_and_of_no_other() {
        let tokens = Tokens::of_roles();
        let check = |header: &str, expected| assert_eq!(tokens.role(header.as_bytes()), expected, "{header}");
        check("Bearer operator", Some(Role::Operator));
        check("bearer operator", Some(Role::Operator));
        check("Bearer   viewer ", Some(Role::Viewer));
        check("Bearer issuer", Some(Role::Issuer));
        check("Bearer operato", None);
        check("Bearer operatorr", None);
        check("Bearer ", None);
        check("Bearer", None);
        check("operator", None);
        check("Basic operator", None);
        check("", None);
        let alone = Tokens { operator: Some(token(OPERATOR)), ..Tokens::default() };
        assert_eq!(alone.role(b"Bearer viewer"), None);
    }

    #[test]
    fn another_token_of_any_role_makes_a_difference() {
        let ours = Tokens::of_roles();
        assert!(ours.are(&Tokens::of_roles()));
        let other = || Some(token("other"));
        for others in [
            Tokens { operator: other(), ..ours.clone() },
            Tokens { issuer: other(), ..ours.clone() },
            Tokens { viewer: other(), ..ours.clone() },
            Tokens { issuer: None, ..ours.clone() },
        ] {
            assert!(!ours.are(&others), "{others:?}");
        }
    }

    #[test]
    fn a_new_token_is_read_back_and_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        write_new(&path, [7; TOKEN_BYTES]).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with(PREFIX) && text.trim().len() == PREFIX.len() + 43, "{text}");
        assert!(Token::read(&path).unwrap().is(&token(text.trim())));
        assert_eq!(write_new(&path, [8; TOKEN_BYTES]).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        write_new(&path, [7; TOKEN_BYTES]).unwrap();
        for (mode, ok) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o620, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let read = Token::read(&path);
            assert_eq!(read.is_ok(), ok, "{mode:o}: {read:?}");
        }
        assert!(matches!(Token::read(folder.path()), Err(TokenError::NotAFile)));
    }
}
