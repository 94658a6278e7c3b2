//! Another implementation's opinion on the same tokens.

use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation, decode, encode, jwk::Jwk};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Verifier;
use crate::{
    Algorithm, JwtConfig,
    testing::{self, Issuer, NOW, SECRET},
};

fn issuer(algorithm: Algorithm) -> &'static Issuer {
    use crate::algorithm::Family;
    match algorithm.family() {
        Family::Secret => Issuer::secret(),
        Family::Rsa => Issuer::rsa(),
        Family::P256 => Issuer::p256(),
        Family::P384 => Issuer::p384(),
        Family::Ed25519 => Issuer::ed25519(),
    }
}

fn ours(algorithm: Algorithm) -> Verifier {
    let config = JwtConfig { audience: vec!["app".to_owned()], ..JwtConfig::new(&[algorithm]) };
    Verifier::new(&config, testing::keys(&[issuer(algorithm).jwk(None)])).unwrap()
}

fn named(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    serde_json::from_value(algorithm.name().into()).unwrap()
}

/// Tells whether the other implementation takes a token; it is told nothing of the time, of which it keeps a clock of its own.
fn theirs(algorithm: Algorithm, token: &str) -> Option<Value> {
    let jwk: Jwk = serde_json::from_value(issuer(algorithm).jwk(None)).unwrap();
    let mut validation = Validation::new(named(algorithm));
    (validation.validate_exp, validation.validate_nbf) = (false, false);
    validation.required_spec_claims.clear();
    validation.set_audience(&["app"]);
    let key = DecodingKey::from_jwk(&jwk).unwrap();
    decode::<Value>(token, &key, &validation).ok().map(|read| read.claims)
}

#[test]
fn what_we_take_of_each_algorithm_another_implementation_takes() {
    for algorithm in Algorithm::ALL {
        let token = issuer(algorithm).token(algorithm, None);
        assert!(ours(algorithm).verify(&token, NOW).is_ok(), "{algorithm:?}");
        assert_eq!(theirs(algorithm, &token), Some(testing::claims()), "{algorithm:?}");
    }
}

#[test]
fn what_another_implementation_signs_we_take() {
    for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        let key = EncodingKey::from_secret(SECRET);
        let token = encode(&Header::new(named(algorithm)), &testing::claims(), &key).unwrap();
        assert_eq!(ours(algorithm).verify(&token, NOW).unwrap().user.as_deref(), Some("mara"));
    }
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let token = encode(
        &Header::new(jsonwebtoken::Algorithm::EdDSA),
        &testing::claims(),
        &EncodingKey::from_ed_der(&pair.serialize_der()),
    );
    let keys = crate::Keys::from_pem(pair.public_key_pem().as_bytes()).unwrap();
    let config = JwtConfig { audience: vec!["app".to_owned()], ..JwtConfig::new(&[Algorithm::EdDSA]) };
    assert!(Verifier::new(&config, keys).unwrap().verify(&token.unwrap(), NOW).is_ok());
}

proptest! {
    #[test]
    fn we_take_nothing_that_another_implementation_refuses(
        place in any::<prop::sample::Index>(), letter in "[A-Za-z0-9_.=-]", more in prop_oneof![Just(""), Just("="), Just("A")],
        aud in prop_oneof![Just(json!("app")), Just(json!(["app", 1])), Just(json!({"app": 1})), Just(json!("x"))],
    ) {
        for algorithm in [Algorithm::HS256, Algorithm::ES256, Algorithm::EdDSA] {
            let mut claims = testing::claims();
            claims["aud"] = aud.clone();
            let token = issuer(algorithm).sign(algorithm, &json!({"alg": algorithm.name()}), &claims);
            let mut changed = token.clone();
            let at = place.index(token.len());
            changed.replace_range(at..=at, &letter);
            changed.push_str(more);
            for token in [token, changed] {
                if ours(algorithm).verify(&token, NOW).is_ok() {
                    prop_assert!(theirs(algorithm, &token).is_some(), "{algorithm:?} {token}");
                }
            }
        }
    }
}
