//! Attacks on a verifier, and the examples of the RFCs.

use proptest::prelude::*;
use serde_json::json;
use sockwarden_config::HumanDuration;

use super::*;
use crate::{
    key::Key,
    testing::{self, Issuer, NOW, SECRET},
};

fn config(algorithms: &[Algorithm]) -> JwtConfig {
    JwtConfig {
        issuer: Some("https://issuer.example".to_owned()),
        audience: vec!["app".to_owned(), "chat".to_owned()],
        ..JwtConfig::new(algorithms)
    }
}

fn verifier(algorithms: &[Algorithm], keys: &[Value]) -> Verifier {
    Verifier::new(&config(algorithms), testing::keys(keys)).unwrap()
}

/// A verifier that knows the one key of P-256, as `a`.
fn p256() -> Verifier {
    verifier(&[Algorithm::ES256], &[Issuer::p256().jwk(Some("a"))])
}

fn header() -> Value {
    json!({"alg": "ES256", "typ": "JWT", "kid": "a"})
}

/// Gives `base` with members replaced, or taken away where they are null.
fn with(base: &Value, changes: Value) -> Value {
    let mut base = base.as_object().unwrap().clone();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            base.remove(name);
        } else {
            base.insert(name.clone(), value.clone());
        }
    }
    base.into()
}

#[test]
fn a_good_token_of_every_algorithm_is_taken() {
    for algorithm in Algorithm::ALL {
        let issuer = match algorithm.family() {
            Family::Secret => Issuer::secret(),
            Family::Rsa => Issuer::rsa(),
            Family::P256 => Issuer::p256(),
            Family::P384 => Issuer::p384(),
            Family::Ed25519 => Issuer::ed25519(),
        };
        let verifier = verifier(&[algorithm], &[issuer.jwk(Some("a"))]);
        for id in [Some("a"), None] {
            let identity = verifier.verify(&issuer.token(algorithm, id), NOW).unwrap();
            assert_eq!(identity.user.as_deref(), Some("mara"), "{algorithm:?}");
            assert_eq!(identity.roles, ["editor", "viewer"]);
            assert_eq!(
                Value::from(identity.claims),
                json!({"roles": ["editor", "viewer"], "rooms": ["a", "b"]})
            );
            assert_eq!((identity.issued_at, identity.expires_at), (Some(NOW - 60), Some(NOW + 600)));
            assert_eq!(identity.token_id.as_deref(), Some("t-1"));
        }
    }
}

#[test]
fn what_a_header_may_not_say_is_refused() {
    let verifier = p256();
    let check = |changes: Value, expected: Result<(), TokenError>| {
        let token =
            Issuer::p256().sign(Algorithm::ES256, &with(&header(), changes.clone()), &testing::claims());
        assert_eq!(verifier.verify(&token, NOW).map(|_| ()), expected, "{changes}");
    };
    check(json!({}), Ok(()));
    for none in ["none", "None", "NONE", "nOnE", ""] {
        check(json!({"alg": none}), Err(TokenError::Algorithm));
    }
    check(json!({"alg": "es256"}), Err(TokenError::Algorithm));
    check(json!({"alg": "ES384"}), Err(TokenError::Algorithm));
    check(json!({"alg": "HS256"}), Err(TokenError::Algorithm));
    check(json!({"alg": ["ES256"]}), Err(TokenError::Malformed));
    check(json!({"alg": null}), Err(TokenError::Malformed));
    check(json!({"typ": null}), Ok(()));
    for good in ["jwt", "at+jwt", "AT+JWT", "application/at+jwt", "Application/JWT"] {
        check(json!({"typ": good}), Ok(()));
    }
    for bad in ["", "JWE", "dpop+jwt", "logout+jwt", "application/", "text/at+jwt", "secevent+jwt"] {
        check(json!({"typ": bad}), Err(TokenError::Type));
    }
    check(json!({"typ": 1}), Err(TokenError::Type));
    check(json!({"crit": ["exp"]}), Err(TokenError::Critical));
    check(json!({"crit": []}), Err(TokenError::Critical));
    check(json!({"crit": ["b64"], "b64": false}), Err(TokenError::Critical));
    check(json!({"kid": "b"}), Err(TokenError::UnknownKey));
    check(json!({"kid": "../../../../dev/null"}), Err(TokenError::UnknownKey));
    check(json!({"kid": "a' UNION SELECT 'key"}), Err(TokenError::UnknownKey));
    check(json!({"kid": ""}), Err(TokenError::UnknownKey));
    check(json!({"kid": "a\u{0}"}), Err(TokenError::UnknownKey));
    check(json!({"kid": "k".repeat(257)}), Err(TokenError::Malformed));
    check(json!({"kid": 1}), Err(TokenError::Malformed));
    check(json!({"kid": null}), Ok(()));
}

#[test]
fn a_key_that_a_header_brings_along_is_never_used() {
    let thief = Issuer::new_p256();
    let check = |changes: Value| {
        let header = with(&header(), changes);
        let stolen = thief.sign(Algorithm::ES256, &header, &testing::claims());
        assert_eq!(p256().verify(&stolen, NOW), Err(TokenError::Signature), "{header}");
        let honest = Issuer::p256().sign(Algorithm::ES256, &header, &testing::claims());
        assert!(p256().verify(&honest, NOW).is_ok(), "{header}");
    };
    check(json!({"jwk": thief.jwk(Some("a"))}));
    check(json!({"jku": "http://127.0.0.1:9/keys"}));
    check(json!({"x5u": "http://127.0.0.1:9/certificate"}));
    check(json!({"x5c": ["MIIB"], "x5t": "AA"}));
}

#[test]
fn a_public_key_is_never_a_secret() {
    let issuer = Issuer::rsa();
    let jwk = issuer.jwk(Some("a"));
    let pem = issuer.public_pem();
    let header = json!({"alg": "HS256", "kid": "a"});
    for secret in [pem.clone().into_bytes(), pem.trim_end().into(), jwk.to_string().into_bytes()] {
        let token = Issuer::Secret(secret).sign(Algorithm::HS256, &header, &testing::claims());
        let listed = verifier(&[Algorithm::RS256], std::slice::from_ref(&jwk));
        assert_eq!(listed.verify(&token, NOW), Err(TokenError::Algorithm));
        // Even where the list would let it through, the key does not fit.
        let secrets = verifier(&[Algorithm::HS256], std::slice::from_ref(&jwk));
        assert_eq!(secrets.verify(&token, NOW), Err(TokenError::UnknownKey));
        let from_pem = Verifier::new(&config(&[Algorithm::HS256]), Keys::from_pem(pem.as_bytes()).unwrap());
        assert_eq!(from_pem.unwrap().verify(&token, NOW), Err(TokenError::UnknownKey));
    }
}

#[test]
fn two_keys_of_one_id_are_told_apart_by_type_or_not_at_all() {
    let other = Issuer::new_p256();
    let both = verifier(&[Algorithm::ES256], &[Issuer::p256().jwk(Some("a")), other.jwk(Some("a"))]);
    let token = Issuer::p256().token(Algorithm::ES256, Some("a"));
    assert_eq!(both.verify(&token, NOW), Err(TokenError::AmbiguousKey));
    let keys = [Issuer::p256().jwk(Some("a")), Issuer::rsa().jwk(Some("a"))];
    let types = verifier(&[Algorithm::ES256, Algorithm::RS256], &keys);
    assert!(types.verify(&token, NOW).is_ok());
    assert!(types.verify(&Issuer::rsa().token(Algorithm::RS256, Some("a")), NOW).is_ok());
    let restricted = with(&Issuer::rsa().jwk(Some("a")), json!({"alg": "PS256"}));
    let restricted = verifier(&[Algorithm::RS256, Algorithm::PS256], &[restricted]);
    assert!(restricted.verify(&Issuer::rsa().token(Algorithm::PS256, Some("a")), NOW).is_ok());
    let other_use = restricted.verify(&Issuer::rsa().token(Algorithm::RS256, Some("a")), NOW);
    assert_eq!(other_use, Err(TokenError::UnknownKey));
}

#[test]
fn what_is_no_token_is_malformed() {
    let verifier = p256();
    let good = Issuer::p256().token(Algorithm::ES256, Some("a"));
    assert!(verifier.verify(&good, NOW).is_ok());
    let parts: Vec<&str> = good.split('.').collect();
    let (first, middle, last) = (parts[0], parts[1], parts[2]);
    let check = |token: &str, expected: TokenError| {
        assert_eq!(verifier.verify(token, NOW), Err(expected), "{token}");
    };
    for bad in ["", ".", "..", "...", "a.b.c", "Bearer x", "\u{0}", "é.é.é"] {
        check(bad, TokenError::Malformed);
    }
    check(&format!("{first}.{middle}"), TokenError::Malformed);
    check(&format!("{good}."), TokenError::Malformed);
    check(&format!("{good}.{last}"), TokenError::Malformed);
    check(&format!("{first}.{middle}.x.y.{last}"), TokenError::Malformed);
    check(&format!(" {good}"), TokenError::Malformed);
    check(&format!("{good}\n"), TokenError::Malformed);
    check(&format!("{first}={}", &good[first.len()..]), TokenError::Malformed);
    check(&format!("{good}="), TokenError::Malformed);
    check(&format!("{good}=="), TokenError::Malformed);
    check(&format!("{first}.{middle}."), TokenError::Signature);
    check(&format!("{first}.{middle}.{}", &last[..80]), TokenError::Signature);
    let longer = [&URL_SAFE_NO_PAD.decode(last).unwrap()[..], &[0]].concat();
    check(&format!("{first}.{middle}.{}", URL_SAFE_NO_PAD.encode(longer)), TokenError::Signature);
    // 64 bytes end with a letter of which four bits count for nothing.
    check(&format!("{}B", &good[..good.len() - 1]), TokenError::Malformed);
    check(&good.replace('_', "/").replace('-', "+").replace("ey", "e/"), TokenError::Malformed);
    check(&"a".repeat(LONGEST_TOKEN + 1), TokenError::TooLong);
    check(&format!("{good}{}", "A".repeat(LONGEST_TOKEN)), TokenError::TooLong);
    // The signature of another header, and other claims.
    let other = Issuer::p256().sign(Algorithm::ES256, &json!({"alg": "ES256"}), &testing::claims());
    let (_, other_signature) = other.rsplit_once('.').unwrap();
    check(&format!("{first}.{middle}.{other_signature}"), TokenError::Signature);
    let admin = with(&testing::claims(), json!({"sub": "admin"})).to_string();
    check(&format!("{first}.{}.{last}", URL_SAFE_NO_PAD.encode(admin)), TokenError::Signature);
    // r = s = 0, which careless verifiers took for any message, and r and s of the group's order.
    for signature in [[0; 64], [0xff; 64]] {
        check(&format!("{first}.{middle}.{}", URL_SAFE_NO_PAD.encode(signature)), TokenError::Signature);
    }
    // The same signature in the form of ASN.1.
    let raw = URL_SAFE_NO_PAD.decode(last).unwrap();
    let number = |half: &[u8]| [&[2, 33, 0], half].concat();
    let asn1 = [&[0x30, 70], &number(&raw[..32])[..], &number(&raw[32..])[..]].concat();
    check(&format!("{first}.{middle}.{}", URL_SAFE_NO_PAD.encode(asn1)), TokenError::Signature);
}

#[test]
fn a_name_that_comes_twice_is_refused() {
    let (header, claims) = (header().to_string(), testing::claims().to_string());
    let check = |header: &str, claims: &str| {
        let token = Issuer::p256().sign_text(Algorithm::ES256, header, claims);
        assert_eq!(p256().verify(&token, NOW), Err(TokenError::Malformed), "{header} {claims}");
    };
    check(&header.replacen('{', "{\"alg\":\"none\",", 1), &claims);
    check(&header.replacen('{', "{\"kid\":\"b\",", 1), &claims);
    check(&header, &claims.replacen('{', "{\"sub\":\"admin\",", 1));
    check(&header, &claims.replacen('{', "{\"s\\u0075b\":\"admin\",", 1));
    check(&header, &claims.replacen('{', "{\"more\":{\"a\":1,\"a\":2},", 1));
    check(&header, "\"sub\"");
    check(&header, "[]");
    check(&header, "{} {}");
    check("[]", &claims);
    check("{", &claims);
}

#[test]
fn a_token_is_good_in_its_time_for_its_audience_by_its_issuer() {
    use TokenError::{Audience, Claim, Expired, Issuer as Iss, NoExpiry, NotYet};
    let verifier = p256();
    let check = |changes: Value, expected: Result<(), TokenError>| {
        let token =
            Issuer::p256().sign(Algorithm::ES256, &header(), &with(&testing::claims(), changes.clone()));
        assert_eq!(verifier.verify(&token, NOW).map(|_| ()), expected, "{changes}");
    };
    check(json!({"exp": NOW + 1}), Ok(()));
    check(json!({"exp": NOW - 29}), Ok(()));
    check(json!({"exp": NOW - 30}), Err(Expired));
    check(json!({"exp": 0}), Err(Expired));
    check(json!({"exp": NOW as f64 + 0.5}), Ok(()));
    check(json!({"exp": u64::MAX}), Ok(()));
    check(json!({"exp": null}), Err(NoExpiry));
    for bad in [json!("1900000000"), json!(-1), json!(true), json!([NOW + 9]), json!(1e300), json!(-0.5)] {
        check(json!({"exp": bad}), Err(Claim));
        check(json!({"nbf": bad}), Err(Claim));
        check(json!({"iat": bad}), Err(Claim));
    }
    check(json!({"nbf": NOW + 30}), Ok(()));
    check(json!({"nbf": NOW + 31}), Err(NotYet));
    check(json!({"nbf": u64::MAX}), Err(NotYet));
    check(json!({"iat": NOW + 31}), Err(NotYet));
    check(json!({"iat": null}), Ok(()));
    check(json!({"iss": null}), Err(Iss));
    check(json!({"iss": "https://issuer.example/"}), Err(Iss));
    check(json!({"iss": ["https://issuer.example"]}), Err(Iss));
    check(json!({"aud": "chat"}), Ok(()));
    check(json!({"aud": ["other", "chat"]}), Ok(()));
    check(json!({"aud": ["other"]}), Err(Audience));
    check(json!({"aud": "App"}), Err(Audience));
    check(json!({"aud": "app chat"}), Err(Audience));
    check(json!({"aud": []}), Err(Audience));
    check(json!({"aud": {"app": 1}}), Err(Audience));
    check(json!({"aud": null}), Err(Audience));
    check(json!({"jti": 1}), Err(Claim));
    check(json!({"jti": "j".repeat(257)}), Err(Claim));
    check(json!({"jti": null}), Ok(()));
}

#[test]
fn what_is_demanded_of_a_token_follows_the_configuration() {
    let check = |change: &dyn Fn(&mut JwtConfig), claims: Value, expected: Result<(), TokenError>| {
        let mut config = config(&[Algorithm::ES256]);
        change(&mut config);
        let verifier = Verifier::new(&config, testing::keys(&[Issuer::p256().jwk(None)])).unwrap();
        let token =
            Issuer::p256().sign(Algorithm::ES256, &header_without_id(), &with(&testing::claims(), claims));
        assert_eq!(verifier.verify(&token, NOW).map(|_| ()), expected);
    };
    check(&|config| config.require_expiry = false, json!({"exp": null}), Ok(()));
    check(&|config| config.require_expiry = false, json!({"exp": 1}), Err(TokenError::Expired));
    check(&|config| config.issuer = None, json!({"iss": null}), Ok(()));
    let any = |config: &mut JwtConfig| (config.audience, config.any_audience) = (Vec::new(), true);
    check(&any, json!({"aud": null}), Ok(()));
    check(&any, json!({"aud": "other"}), Ok(()));
    let leeway = |config: &mut JwtConfig| config.leeway = HumanDuration::from_secs(0);
    check(&leeway, json!({"exp": NOW}), Err(TokenError::Expired));
    check(&leeway, json!({"nbf": NOW}), Ok(()));
    let age = |config: &mut JwtConfig| config.max_age = Some(HumanDuration::from_secs(100));
    check(&age, json!({"iat": NOW - 130}), Ok(()));
    check(&age, json!({"iat": NOW - 131}), Err(TokenError::TooOld));
    check(&age, json!({"iat": null}), Err(TokenError::NoIssueTime));
}

fn header_without_id() -> Value {
    with(&header(), json!({"kid": null}))
}

#[test]
fn user_roles_and_claims_are_read_where_the_configuration_says() {
    let read = |change: &dyn Fn(&mut JwtConfig), claims: Value| {
        let mut config = config(&[Algorithm::ES256]);
        change(&mut config);
        let verifier = Verifier::new(&config, testing::keys(&[Issuer::p256().jwk(None)])).unwrap();
        let claims = with(&testing::claims(), claims);
        verifier.verify(&Issuer::p256().sign(Algorithm::ES256, &header_without_id(), &claims), NOW)
    };
    let user = |change: &dyn Fn(&mut JwtConfig), claims: Value, expected: Result<&str, TokenError>| {
        let found = read(change, claims.clone()).map(|identity| identity.user.unwrap());
        assert_eq!(found.as_deref().map_err(|error| *error), expected, "{claims}");
    };
    let asis = |_: &mut JwtConfig| ();
    user(&asis, json!({}), Ok("mara"));
    user(&asis, json!({"sub": "jörg"}), Ok("jörg"));
    user(&asis, json!({"sub": 42}), Ok("42"));
    for nobody in [json!({"sub": null}), json!({"sub": ""})] {
        user(&asis, nobody, Err(TokenError::NoUser));
    }
    for bad in [
        json!("a\r\nSockwarden-Roles: admin"),
        json!("a\u{0}"),
        json!(["mara"]),
        json!(1.5),
        json!("m".repeat(257)),
    ] {
        user(&asis, json!({"sub": bad}), Err(TokenError::Claim));
    }
    user(
        &|config| config.user_claim = "email".to_owned(),
        json!({"email": "m@a.example"}),
        Ok("m@a.example"),
    );
    user(&|config| config.user_claim = "/who/id".to_owned(), json!({"who": {"id": "m"}}), Ok("m"));
    user(&|config| config.user_claim = "/who/id".to_owned(), json!({"who": "m"}), Err(TokenError::NoUser));

    let roles = |change: &dyn Fn(&mut JwtConfig), claims: Value, expected: Result<&[&str], TokenError>| {
        let found = read(change, claims.clone()).map(|identity| identity.roles);
        assert_eq!(
            found,
            expected.map(|roles| roles.iter().map(|role| (*role).to_owned()).collect()),
            "{claims}"
        );
    };
    roles(&asis, json!({"roles": null}), Ok(&[]));
    roles(&asis, json!({"roles": "editor  viewer "}), Ok(&["editor", "viewer"]));
    roles(&asis, json!({"roles": ["two words"]}), Ok(&["two words"]));
    for bad in [
        json!(1),
        json!([1]),
        json!({"admin": true}),
        json!(["a\n"]),
        json!(vec!["r"; 65]),
        json!(["r".repeat(129)]),
    ] {
        roles(&asis, json!({"roles": bad}), Err(TokenError::Claim));
    }
    let keycloak = |config: &mut JwtConfig| config.roles_claim = "/realm_access/roles".to_owned();
    roles(&keycloak, json!({"realm_access": {"roles": ["a"]}}), Ok(&["a"]));

    let kept = |change: &dyn Fn(&mut JwtConfig), claims: Value| {
        read(change, claims).map(|identity| Value::from(identity.claims))
    };
    let some = |config: &mut JwtConfig| {
        config.claims = Some(vec!["rooms".to_owned(), "iss".to_owned(), "no".to_owned()])
    };
    assert_eq!(kept(&some, json!({})), Ok(json!({"iss": "https://issuer.example", "rooms": ["a", "b"]})));
    assert_eq!(kept(&asis, json!({"large": "x".repeat(MOST_CLAIMS)})), Err(TokenError::Claim));
    assert!(kept(&some, json!({"large": "x".repeat(MOST_CLAIMS)})).is_ok());
}

#[test]
fn settings_that_mean_nothing_are_named() {
    use Algorithm::{ES256, HS256, RS256};
    let check = |change: &dyn Fn(&mut JwtConfig), expected: &[&str]| {
        let mut config = config(&[ES256]);
        change(&mut config);
        let bad = Rules::new(&config).err().unwrap_or_default();
        assert_eq!(bad.iter().map(|bad| bad.key.as_str()).collect::<Vec<_>>(), expected);
    };
    check(&|_| (), &[]);
    check(&|config| config.algorithms = vec![ES256, RS256], &[]);
    check(&|config| config.algorithms.clear(), &["algorithms"]);
    check(&|config| config.algorithms = vec![HS256, RS256], &["algorithms"]);
    check(&|config| config.audience.clear(), &["audience"]);
    check(&|config| config.any_audience = true, &["audience"]);
    check(&|config| config.leeway = HumanDuration::from_secs(301), &["leeway"]);
    check(&|config| config.max_age = Some(HumanDuration::from_secs(0)), &["max_age"]);
    check(&|config| config.user_claim.clear(), &["user_claim"]);
    check(&|config| config.roles_claim.clear(), &["roles_claim"]);
    check(&|config| config.issuer = Some(String::new()), &["issuer"]);
    let all = |config: &mut JwtConfig| {
        config.algorithms.clear();
        config.audience.clear();
    };
    check(&all, &["algorithms", "audience"]);
}

/// The claims of RFC 7515 §A.1 to §A.3, and the identity in them where `iss` is the user.
const JOE: &str =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

#[test]
fn the_examples_of_rfc_7515_are_verified() {
    let check = |algorithm, jwk: Value, header: &str, signature: &str| {
        let mut config = JwtConfig::new(&[algorithm]);
        (config.any_audience, config.user_claim) = (true, "iss".to_owned());
        let verifier = Verifier::new(&config, testing::keys(&[jwk])).unwrap();
        let token = format!("{header}.{JOE}.{signature}");
        let identity = verifier.verify(&token, 1_300_819_379).unwrap();
        assert_eq!(identity.user.as_deref(), Some("joe"));
        assert_eq!(identity.expires_at, Some(1_300_819_380));
        assert_eq!(Value::from(identity.claims), json!({"http://example.com/is_root": true}));
        assert_eq!(verifier.verify(&token, 1_300_819_410), Err(TokenError::Expired));
    };
    check(
        Algorithm::HS256,
        json!({"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}),
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9",
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    );
    check(
        Algorithm::RS256,
        json!({"kty": "RSA", "e": "AQAB", "n": concat!(
            "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-",
            "pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2C",
            "apHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9g",
            "b54h4FRWyuXpoQ",
        )}),
        "eyJhbGciOiJSUzI1NiJ9",
        concat!(
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7",
            "t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--x",
            "i12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_Io",
            "ypGlUPQGe77Rw",
        ),
    );
    check(
        Algorithm::ES256,
        json!({
            "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        }),
        "eyJhbGciOiJFUzI1NiJ9",
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    );
}

#[test]
fn the_example_of_rfc_8037_is_verified() {
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let key = Key::from_jwk(jwk.as_object().unwrap()).unwrap();
    let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    assert!(key.verifies(Algorithm::EdDSA, message, &signature));
    assert!(!key.verifies(Algorithm::EdDSA, &message[1..], &signature));
    assert!(!key.verifies(Algorithm::ES256, message, &signature));
}

proptest! {
    #[test]
    fn a_good_token_with_any_byte_changed_is_refused(place in any::<prop::sample::Index>(), by in 1_u8..=255) {
        for (issuer, algorithm) in [(Issuer::p256(), Algorithm::ES256), (Issuer::secret(), Algorithm::HS256)] {
            let verifier = verifier(&[algorithm], &[issuer.jwk(Some("a"))]);
            let mut token = issuer.token(algorithm, Some("a")).into_bytes();
            let place = place.index(token.len());
            token[place] ^= by;
            if let Ok(token) = String::from_utf8(token) {
                prop_assert!(verifier.verify(&token, NOW).is_err(), "{} at {place}", token);
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), header in "\\{(\"(alg|kid|typ)\":\"(HS256|a|JWT)\",?){0,3}\\}", claims in "\\{(\"(exp|aud|sub)\":([0-9]{1,20}|\"app\"),?){0,4}\\}") {
        let secret = verifier(&[Algorithm::HS256], &[Issuer::secret().jwk(None)]);
        let _ = secret.verify(&text, NOW);
        let signed = Issuer::Secret(SECRET.to_vec()).sign_text(Algorithm::HS256, &header, &claims);
        let _ = secret.verify(&signed, NOW);
    }
}
