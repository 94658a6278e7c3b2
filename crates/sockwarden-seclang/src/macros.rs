//! Texts with `%{…}` in them, which are filled in while a message is judged.

/// A text with places to be filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Template(pub(crate) Vec<Piece>);

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(String),
    /// A variable of the transaction, in lower case.
    Tx(String),
    MatchedVar,
    MatchedVarName,
    RuleId,
    /// Something else, which is empty here.
    Foreign(String),
}

impl Template {
    pub(crate) fn read(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find("%{") {
            let Some(length) = rest[start..].find('}') else { break };
            if start > 0 {
                pieces.push(Piece::Text(rest[..start].to_owned()));
            }
            pieces.push(Piece::named(&rest[start + 2..start + length]));
            rest = &rest[start + length + 1..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Self(pieces)
    }

    /// Gives the text where nothing is to be filled in.
    pub(crate) fn constant(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            [_] | [_, _, ..] => None,
        }
    }
}

impl Piece {
    fn named(name: &str) -> Self {
        let lower = name.to_ascii_lowercase();
        match lower.as_str() {
            "matched_var" => Self::MatchedVar,
            "matched_var_name" => Self::MatchedVarName,
            "rule.id" => Self::RuleId,
            _ => match lower.strip_prefix("tx.").or_else(|| lower.strip_prefix("tx:")) {
                Some(name) => Self::Tx(name.to_owned()),
                None => Self::Foreign(name.to_owned()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_knows_what_is_to_be_filled_in() {
        let text = |text: &str| Piece::Text(text.to_owned());
        let tx = |name: &str| Piece::Tx(name.to_owned());
        let check =
            |given: &str, expected: Vec<Piece>| assert_eq!(Template::read(given).0, expected, "{given}");
        check("", vec![]);
        check("5", vec![text("5")]);
        check("%{TX.Critical_Score}", vec![tx("critical_score")]);
        check("a%{matched_var}b%{tx.1}", vec![text("a"), Piece::MatchedVar, text("b"), tx("1")]);
        check("%{x", vec![text("%{x")]);
        check("%{ENV.y}", vec![Piece::Foreign("ENV.y".to_owned())]);
    }
}
