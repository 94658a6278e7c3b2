//! Values that nobody publishes: e-mail addresses, card numbers, balances, tokens.

use std::collections::BTreeSet;

use crate::{
    redact::is_secret_name,
    values::{Value, Values},
};

/// Names the kinds of personal data among `values`, without repetition.
pub(crate) fn kinds(values: &Values) -> Vec<&'static str> {
    values.iter().filter_map(kind).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Names the kind of personal data that a value is, if it is any.
fn kind(value: &Value) -> Option<&'static str> {
    const MONEY: [&str; 5] = ["balance", "salary", "credit", "iban", "income"];
    const PERSON: [&str; 7] = ["ssn", "passport", "birth", "phone", "mobile", "address", "taxid"];
    let key = value.key();
    let text = value.text.trim();
    if is_email(text) {
        Some("an e-mail address")
    } else if is_card_number(text) {
        Some("a payment card number")
    } else if is_jwt(text) || is_secret_name(&key) && text.len() >= 16 && !text.contains(' ') {
        Some("a token")
    } else if MONEY.iter().any(|word| key.contains(word)) && text.chars().any(|c| c.is_ascii_digit()) {
        Some("an account's figures")
    } else if PERSON.iter().any(|word| key.contains(word)) && text.len() >= 4 {
        Some("a person's particulars")
    } else {
        None
    }
}

/// Tells whether a text is the address of a person rather than of a role.
fn is_email(text: &str) -> bool {
    const ROLES: [&str; 12] = [
        "support", "info", "help", "contact", "noreply", "no-reply", "sales", "security", "abuse", "office",
        "service", "hello",
    ];
    let Some((local, domain)) = text.split_once('@') else { return false };
    let local_ok = !local.is_empty()
        && local.bytes().all(|b| b.is_ascii_alphanumeric() || b"._%+-".contains(&b))
        && !ROLES.contains(&local.to_ascii_lowercase().as_str());
    let labels: Vec<&str> = domain.split('.').collect();
    let label_ok =
        |label: &&str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    local_ok
        && labels.len() >= 2
        && labels.iter().all(label_ok)
        && labels.last().is_some_and(|top| top.len() >= 2 && top.bytes().all(|b| b.is_ascii_alphabetic()))
}

/// Tells whether a text is 13 to 19 digits of a known issuer with a right check digit (ISO/IEC 7812-1, Luhn).
fn is_card_number(text: &str) -> bool {
    if !text.bytes().all(|b| b.is_ascii_digit() || b == b' ' || b == b'-') {
        return false;
    }
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
    let luhn: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, &digit)| match (at % 2, digit) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => 2 * digit - 9,
            (_, digit) => 2 * digit,
        })
        .sum();
    (13..=19).contains(&digits.len())
        && matches!(digits[0], 2..=6)
        && luhn.is_multiple_of(10)
        && digits.iter().any(|&digit| digit != digits[0])
}

/// Tells whether a text is shaped like a JSON Web Token.
fn is_jwt(text: &str) -> bool {
    text.starts_with("eyJ") && text.split('.').count() == 3 && text.len() > 40
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_publishes_is_personal() {
        let check = |path: &str, text: &str, expected: Option<&str>| {
            let value = Value { path: path.into(), text: text.into() };
            assert_eq!(kind(&value), expected, "{path}={text}");
        };
        check("email", "mara@harbor.example", Some("an e-mail address"));
        check("", "mara@harbor.example", Some("an e-mail address"));
        check("contact", "support@harbor.example", None);
        check("at", "a@b", None);
        check("card", "4111 1111 1111 1111", Some("a payment card number"));
        check("card", "4111 1111 1111 1112", None);
        check("time", "1700000000000", None);
        check("zero", "0000000000000000", None);
        check("account.balance", "1204.50", Some("an account's figures"));
        check("balance", "hidden", None);
        check("session", "0123456789abcdef", Some("a token"));
        check("session", "short", None);
        check("text", "the session token is over there", None);
        check("user.phone", "+49 30 1234", Some("a person's particulars"));
        check("text", "hello", None);
    }
}
