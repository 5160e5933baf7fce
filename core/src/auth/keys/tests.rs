//! The examples of RFC 7515 and RFC 8037, tokens that are not genuine, and the rules of keys.
//!
//! Tokens are made here with aws-lc alone, so that nothing that is tested makes them. One thread.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P256K1_SHA256_FIXED_SIGNING,
    ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents,
};
use aws_lc_rs::{hmac, rand};
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;

const NOW: u64 = 1_000_000;
const SECRET: &[u8] = b"a secret of 32 bytes for testing";
const SUB_ALI: &str = r#"{"sub":"ali"}"#;

/// RFC 7515, A.1.
const OCT: &str =
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
const A1: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkz\
    ODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWF\
    OEjXk";
/// RFC 7515, A.2.
const RSA_N: &str = "\
    ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2m\
    JPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaS\
    HSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5Ih\
    lJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
const A2: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9\
    leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZ\
    j5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnby\
    TyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZE\
    Sc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQ\
    Ge77Rw";
/// RFC 7515, A.3.
const EC_X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const EC_Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
const A3: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9\
    leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxL\
    a8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
/// RFC 8037, A.2 and A.4.
const ED_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
const ED_A4: &str = "\
    eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1\
    PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

const RSA_1024: &[u8] = b"-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQChPAdE/QPv2ajXKJusif+MRYHD
fu/CRJv8de7Hp3bRi0aRWUwEBVQMy5qUgoHUVBuY1tnM7ejqBVO47WQpSsab/PQk
X/PUPtPT7Rw3RDyZFerfN5Pq84uzrholpeqZZsYngbMtFKeavoLzJQz85Mw9EA6n
0i9zP+CAl6kxn6gMKwIDAQAB
-----END PUBLIC KEY-----
";

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

fn token(header: &str, claims: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let message = format!("{}.{}", b64(header), b64(claims));
    let signature = sign(message.as_bytes());
    format!("{message}.{}", b64(signature))
}

fn hs256_by(secret: &[u8], header: &str) -> String {
    token(header, SUB_ALI, |message| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        hmac::sign(&key, message).as_ref().to_vec()
    })
}

fn hs256(header: &str) -> String {
    hs256_by(SECRET, header)
}

/// A key pair of each kind that has two halves.
struct Pairs {
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
    ed: Ed25519KeyPair,
}

impl Pairs {
    fn new() -> Pairs {
        Pairs {
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            ed: Ed25519KeyPair::generate().unwrap(),
        }
    }

    fn rsa_pem(&self) -> String {
        pem(
            "PUBLIC KEY",
            self.rsa.public_key().as_der().unwrap().as_ref(),
        )
    }

    fn ec_pem(&self) -> String {
        pem(
            "PUBLIC KEY",
            self.ec.public_key().as_der().unwrap().as_ref(),
        )
    }

    fn ed_pem(&self) -> String {
        pem(
            "PUBLIC KEY",
            self.ed.public_key().as_der().unwrap().as_ref(),
        )
    }

    fn keys(&self) -> Keys {
        let keys = Keys::new().hs256(SECRET).unwrap();
        let keys = keys.rs256_pem(self.rsa_pem().as_bytes()).unwrap();
        let keys = keys.es256_pem(self.ec_pem().as_bytes()).unwrap();
        keys.eddsa_pem(self.ed_pem().as_bytes()).unwrap()
    }

    fn jwks(&self) -> String {
        let rsa = RsaPublicKeyComponents::<Vec<u8>>::from(self.rsa.public_key());
        let point = self.ec.public_key().as_ref();
        format!(
            r#"{{"keys":[
                {{"kty":"oct","kid":"h","k":"{}"}},
                {{"kty":"RSA","kid":"r","alg":"RS256","use":"sig","n":"{}","e":"{}"}},
                {{"kty":"EC","kid":"e","crv":"P-256","key_ops":["verify"],"x":"{}","y":"{}"}},
                {{"kty":"OKP","kid":"d","crv":"Ed25519","x":"{}"}}]}}"#,
            b64(SECRET),
            b64(&rsa.n),
            b64(&rsa.e),
            b64(&point[1..33]),
            b64(&point[33..]),
            b64(self.ed.public_key()),
        )
    }

    fn rs256(&self, header: &str) -> String {
        token(header, SUB_ALI, |message| {
            let mut signature = vec![0; self.rsa.public_modulus_len()];
            let random = SystemRandom::new();
            let signed = self
                .rsa
                .sign(&RSA_PKCS1_SHA256, &random, message, &mut signature);
            signed.unwrap();
            signature
        })
    }

    fn es256(&self, header: &str) -> String {
        token(header, SUB_ALI, |message| {
            let signature = self.ec.sign(&SystemRandom::new(), message).unwrap();
            signature.as_ref().to_vec()
        })
    }

    fn eddsa(&self, header: &str) -> String {
        token(header, SUB_ALI, |message| {
            self.ed.sign(message).as_ref().to_vec()
        })
    }

    /// One of each.
    fn tokens(&self) -> [String; 4] {
        [
            hs256(r#"{"alg":"HS256"}"#),
            self.rs256(r#"{"alg":"RS256"}"#),
            self.es256(r#"{"alg":"ES256"}"#),
            self.eddsa(r#"{"alg":"EdDSA"}"#),
        ]
    }
}

fn jwks(key: &str) -> Result<Keys, KeyError> {
    Keys::new().jwks(&format!(r#"{{"keys":[{key}]}}"#))
}

fn is_ali(keys: &Keys, token: &str) -> bool {
    match keys.verify(token, NOW) {
        Ok(claims) => {
            assert_eq!(claims.user.as_deref(), Some("ali"));
            true
        }
        Err(e) => {
            assert_eq!(e, TokenError::Invalid);
            false
        }
    }
}

#[test]
fn the_examples_of_the_rfcs_are_genuine() {
    let oct = jwks(&format!(r#"{{"kty":"oct","k":"{OCT}"}}"#)).unwrap();
    let rsa = jwks(&format!(r#"{{"kty":"RSA","n":"{RSA_N}","e":"AQAB"}}"#)).unwrap();
    let ec = format!(r#"{{"kty":"EC","crv":"P-256","x":"{EC_X}","y":"{EC_Y}"}}"#);
    let ec = jwks(&ec).unwrap();
    for (keys, token) in [(oct, A1), (rsa, A2), (ec, A3)] {
        let keys = keys.issuer("joe").leeway_s(0);
        let claims = keys.verify(token, 1_300_819_379).expect(token);
        assert_eq!(claims.expires_at, Some(1_300_819_380));
        let late = keys.verify(token, 1_300_819_380);
        assert_eq!(late, Err(TokenError::Expired), "{token}");
        let others = keys.issuer("jane").verify(&token[1..], 0);
        assert_eq!(others, Err(TokenError::Invalid));
    }
    let ed = jwks(&format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{ED_X}"}}"#)).unwrap();
    let signed = ed.inner.signed(ED_A4);
    assert_eq!(signed.as_deref(), Some(&b"Example of Ed25519 signing"[..]));
    assert_eq!(ed.verify(ED_A4, NOW), Err(TokenError::Invalid));
}

#[test]
fn each_algorithm_by_pem_and_by_jwks() {
    let pairs = Pairs::new();
    let by_jwks = Keys::new().jwks(&pairs.jwks()).unwrap();
    for token in pairs.tokens() {
        assert!(
            is_ali(&pairs.keys(), &token) && is_ali(&by_jwks, &token),
            "{token}"
        );
        assert!(!is_ali(&Keys::new(), &token) && !is_ali(&Pairs::new().keys().clear(), &token));
    }
    assert!(is_ali(&by_jwks, &pairs.eddsa(r#"{"alg":"Ed25519"}"#)));
    let rsa = pem("RSA PUBLIC KEY", pairs.rsa.public_key().as_ref());
    let keys = Keys::new().rs256_pem(rsa.as_bytes()).unwrap();
    assert!(is_ali(&keys, &pairs.tokens()[1]));
}

impl Keys {
    /// Without the secret, which is the same in all tests.
    fn clear(self) -> Keys {
        self.change(|inner| inner.keys.retain(|key| key.algorithm != Algorithm::HS256))
    }
}

#[test]
fn the_key_says_which_algorithm_and_not_the_token() {
    let pairs = Pairs::new();
    let (rsa, ec, ed) = (pairs.rsa_pem(), pairs.ec_pem(), pairs.ed_pem());
    let keys = pairs.keys();
    // What everybody knows of a key, taken for a secret.
    let der = pairs.rsa.public_key().as_der().unwrap();
    let known: [&[u8]; 6] = [
        rsa.as_bytes(),
        ec.as_bytes(),
        ed.as_bytes(),
        der.as_ref(),
        pairs.rsa.public_key().as_ref(),
        pairs.ed.public_key().as_ref(),
    ];
    for secret in known {
        for alg in ["HS256", "RS256", "ES256", "EdDSA"] {
            let token = hs256_by(secret, &format!(r#"{{"alg":"{alg}"}}"#));
            assert!(!is_ali(&keys, &token), "{alg}");
        }
    }
    for alg in ["HS256", "RS256", "ES256", "EdDSA"] {
        let header = format!(r#"{{"alg":"{alg}"}}"#);
        assert_eq!(is_ali(&keys, &hs256(&header)), alg == "HS256");
        assert_eq!(is_ali(&keys, &pairs.rs256(&header)), alg == "RS256");
        assert_eq!(is_ali(&keys, &pairs.es256(&header)), alg == "ES256");
        assert_eq!(is_ali(&keys, &pairs.eddsa(&header)), alg == "EdDSA");
    }
}

#[test]
fn a_token_that_is_not_signed_is_refused() {
    let keys = Pairs::new().keys();
    for alg in [
        "none", "None", "NONE", "nOnE", "", "HS256", "RS256", "ES256", "EdDSA",
    ] {
        let header = b64(format!(r#"{{"alg":"{alg}"}}"#));
        for signature in [vec![], vec![0], vec![0; 32], vec![0; 64], vec![0; 256]] {
            let token = format!("{header}.{}.{}", b64(SUB_ALI), b64(signature));
            assert!(!is_ali(&keys, &token), "{token}");
        }
        assert!(!is_ali(&keys, &format!("{header}.{}", b64(SUB_ALI))));
    }
}

#[test]
fn a_header_that_is_not_understood_is_refused() {
    let keys = Keys::new().hs256(SECRET).unwrap();
    for header in [
        r#"{"alg":"HS256"}"#,
        r#" {"typ":"at+jwt","alg":"HS256","kid":"a","jku":"https://evil","x":[null]} "#,
        r#"{"\u0061lg":"HS\u003256"}"#,
    ] {
        assert!(is_ali(&keys, &hs256(header)), "{header}");
    }
    for header in [
        "",
        "{}",
        "[]",
        r#"["HS256"]"#,
        r#"["HS256","a",null]"#,
        r#""HS256""#,
        r#"{"alg":"HS256"} {}"#,
        r#"{"alg":"hs256"}"#,
        r#"{"alg":"HS256 "}"#,
        r#"{"alg":"HS512"}"#,
        r#"{"alg":["HS256"]}"#,
        r#"{"alg":null}"#,
        r#"{"alg":"none","alg":"HS256"}"#,
        r#"{"alg":"HS256","alg":"HS256"}"#,
        r#"{"alg":"HS256","kid":1}"#,
        r#"{"alg":"HS256","kid":null}"#,
        r#"{"alg":"HS256","crit":["exp"],"exp":1}"#,
        r#"{"alg":"HS256","crit":["b64"],"b64":false}"#,
        r#"{"alg":"HS256","crit":[]}"#,
        r#"{"alg":"HS256","crit":null}"#,
    ] {
        assert!(!is_ali(&keys, &hs256(header)), "{header}");
    }
}

#[test]
fn a_token_with_any_character_changed_is_refused() {
    const ALPHABET: &[u8] =
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \0";
    let pairs = Pairs::new();
    let keys = pairs.keys();
    for (nth, token) in pairs.tokens().into_iter().enumerate() {
        let end = token.len() - 2;
        for at in 0..token.len() {
            // All of them where the last bits of a part may be spelled in more than one way.
            let before_dot = token.as_bytes().get(at + 1) == Some(&b'.');
            let thorough = nth == 0 || before_dot || at >= end;
            let few = [ALPHABET[at % 64], ALPHABET[64 + at % 6]];
            for other in if thorough { ALPHABET } else { &few } {
                let mut forged = token.clone().into_bytes();
                if std::mem::replace(&mut forged[at], *other) != *other {
                    assert!(
                        !is_ali(&keys, std::str::from_utf8(&forged).unwrap()),
                        "{at}"
                    );
                }
            }
        }
        for at in 0..token.len() {
            assert!(!is_ali(&keys, &token[..at]) && !is_ali(&keys, &token[at + 1..]));
        }
        for more in ["A", ".", "=", "==", "\n", " ", ".A", "\u{e9}"] {
            assert!(!is_ali(&keys, &format!("{token}{more}")));
            assert!(!is_ali(&keys, &format!("{more}{token}")));
        }
    }
}

#[test]
fn a_token_is_of_a_bounded_length() {
    let keys = Keys::new().hs256(SECRET).unwrap();
    let padded = |len: usize| hs256(&format!(r#"{{"alg":"HS256","a":"{}"}}"#, "a".repeat(len)));
    let over = padded(0).len();
    assert!(is_ali(&keys, &padded((TOKEN_BYTES_MAX - over) / 4 * 3)));
    assert!(!is_ali(&keys, &padded(TOKEN_BYTES_MAX)));
}

#[test]
fn a_kid_chooses_among_keys() {
    let (other, third) = ([1; 32], [3; 32]);
    let keys = Keys::new().hs256(&other).unwrap().with_kid("b").unwrap();
    let keys = keys.hs256(SECRET).unwrap().with_kid("a").unwrap();
    let of =
        |secret: &[u8], kid: &str| hs256_by(secret, &format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#));
    assert!(is_ali(&keys, &of(SECRET, "a")) && is_ali(&keys, &of(&other, "b")));
    assert!(!is_ali(&keys, &of(SECRET, "b")) && !is_ali(&keys, &of(&other, "a")));
    // Without a kid each key may have made it; a kid of nobody's is of no key.
    assert!(is_ali(&keys, &hs256(r#"{"alg":"HS256"}"#)));
    assert!(!is_ali(&keys, &of(SECRET, "c")) && !is_ali(&keys, &of(SECRET, "")));

    // A key without id may be that of any id that the others have not.
    let keys = keys.hs256(&third).unwrap();
    assert!(is_ali(&keys, &of(&third, "c")) && is_ali(&keys, &of(SECRET, "a")));
    assert!(!is_ali(&keys, &of(&third, "a")) && !is_ali(&keys, &of(SECRET, "c")));

    // An id that a key of another algorithm has is no other key's.
    let pairs = Pairs::new();
    let keys = Keys::new().hs256(SECRET).unwrap();
    let keys = keys.eddsa_pem(pairs.ed_pem().as_bytes()).unwrap();
    let keys = keys.with_kid("d").unwrap();
    assert!(!is_ali(&keys, &of(SECRET, "d")) && is_ali(&keys, &of(SECRET, "x")));
}

#[test]
fn a_token_is_tried_with_a_bounded_number_of_keys() {
    let mut keys = Keys::new();
    for n in 0..TRIES_MAX as u8 - 1 {
        keys = keys
            .hs256(&[n; 32])
            .unwrap()
            .with_kid(&format!("{n}"))
            .unwrap();
    }
    let token = hs256(r#"{"alg":"HS256"}"#);
    assert!(is_ali(&keys.clone().hs256(SECRET).unwrap(), &token));
    let keys = keys.hs256(&[99; 32]).unwrap().hs256(SECRET).unwrap();
    assert!(!is_ali(&keys, &token));
    let keys = keys.with_kid("last").unwrap();
    assert!(is_ali(&keys, &hs256(r#"{"alg":"HS256","kid":"last"}"#)));
}

fn why(outcome: Result<Keys, KeyError>) -> String {
    let error = outcome.expect_err("the key is of no use");
    assert_eq!(error.status(), Status::TokenKey);
    error.to_string()
}

#[test]
fn a_key_of_no_use_is_refused_with_the_reason() {
    let pairs = Pairs::new();
    let (rsa, ec, ed) = (pairs.rsa_pem(), pairs.ec_pem(), pairs.ed_pem());
    let keys = Keys::new;
    assert_eq!(
        why(keys().hs256(&SECRET[1..])),
        "the secret for HS256 cannot be used: it has 31 bytes, and is to have at least 32"
    );
    assert_eq!(
        why(keys().rs256_pem(RSA_1024)),
        "the PEM for RS256 cannot be used: it has 1024 bits, and is to have 2048 to 8192"
    );
    let not_public = "it is not a public key of this kind";
    for other in [&ec, &ed] {
        assert!(why(keys().rs256_pem(other.as_bytes())).ends_with(not_public));
    }
    for other in [&rsa, &ed] {
        assert!(why(keys().es256_pem(other.as_bytes())).ends_with(not_public));
    }
    for other in [&rsa, &ec] {
        assert!(why(keys().eddsa_pem(other.as_bytes())).ends_with(not_public));
    }
    let of_curve = |curve: &'static EcdsaSigningAlgorithm| {
        let pair = EcdsaKeyPair::generate(curve).unwrap();
        pem("PUBLIC KEY", pair.public_key().as_der().unwrap().as_ref())
    };
    for curve in [
        &ECDSA_P384_SHA384_FIXED_SIGNING,
        &ECDSA_P256K1_SHA256_FIXED_SIGNING,
    ] {
        assert!(why(keys().es256_pem(of_curve(curve).as_bytes())).ends_with(not_public));
    }
    let private = pem("PRIVATE KEY", pairs.ed.to_pkcs8v1().unwrap().as_ref());
    let reason =
        "the PEM for EdDSA cannot be used: it is a private key, and is to be the public one";
    assert_eq!(why(keys().eddsa_pem(private.as_bytes())), reason);
    assert!(why(keys().rs256_pem(pem("CERTIFICATE", b"x").as_bytes())).contains("certificate"));
    for nothing in [
        "",
        "PUBLIC KEY",
        "-----BEGIN PUBLIC KEY-----",
        &pem("PUBLIC KEY", b"x"),
    ] {
        why(keys().rs256_pem(nothing.as_bytes()));
        why(keys().es256_pem(nothing.as_bytes()));
        why(keys().eddsa_pem(nothing.as_bytes()));
    }
}

#[test]
fn an_id_is_given_to_one_key_once() {
    let key = || Keys::new().hs256(SECRET).unwrap();
    why(Keys::new().with_kid("a"));
    why(key().with_kid("a").unwrap().with_kid("b"));
    why(key().with_kid(""));
    why(key().with_kid(&"a".repeat(256)));
    key().with_kid(&"a".repeat(255)).unwrap();
}

#[test]
fn keys_are_bounded_in_number() {
    let mut keys = Keys::new();
    for _ in 0..KEYS_MAX {
        keys = keys.hs256(SECRET).unwrap();
    }
    let reason = "one more key cannot be used: there are 256 already";
    assert_eq!(why(keys.hs256(SECRET)), reason);
    let key = format!(r#"{{"kty":"oct","k":"{OCT}"}}"#);
    why(jwks(&vec![key; KEYS_MAX + 1].join(",")));
}

#[test]
fn keys_of_a_set_that_are_of_no_use_are_passed_over() {
    let good = format!(r#"{{"kty":"oct","k":"{OCT}"}}"#);
    let other_x = ED_X.replace('o', "p");
    for bad in [
        "7",
        "null",
        "{}",
        &format!(r#"["oct",null,null,null,null,null,null,null,null,null,"{OCT}"]"#),
        r#"{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"}"#,
        r#"{"kty":7}"#,
        r#"{"kty":"oct"}"#,
        r#"{"kty":"oct","k":"c2hvcnQ"}"#,
        &format!(r#"{{"kty":"oct","k":"{OCT}="}}"#),
        &format!(r#"{{"kty":"oct","k":"{OCT}","alg":"HS512"}}"#),
        &format!(r#"{{"kty":"oct","k":"{OCT}","alg":"RS256"}}"#),
        &format!(r#"{{"kty":"oct","k":"{OCT}","use":"enc"}}"#),
        &format!(r#"{{"kty":"oct","k":"{OCT}","key_ops":["sign"]}}"#),
        &format!(r#"{{"kty":"oct","k":"{OCT}","kid":7}}"#),
        &format!(r#"{{"kty":"oct","k":"{OCT}","kid":""}}"#),
        &format!(r#"{{"kty":"oct","k":"{OCT}","k":"{OCT}"}}"#),
        &format!(r#"{{"kty":"RSA","n":"{RSA_N}","e":"AQAB","alg":"RSA-OAEP"}}"#),
        &format!(r#"{{"kty":"RSA","n":"{RSA_N}","e":"AQAB","alg":"PS256"}}"#),
        &format!(r#"{{"kty":"RSA","n":"{RSA_N}"}}"#),
        &format!(r#"{{"kty":"RSA","n":"{RSA_N}","e":""}}"#),
        &format!(r#"{{"kty":"RSA","n":"{RSA_N}","e":"AQ"}}"#),
        &format!(r#"{{"kty":"RSA","n":"{RSA_N}","e":"Ag"}}"#),
        r#"{"kty":"RSA","n":"","e":"AQAB"}"#,
        &format!(r#"{{"kty":"RSA","n":"{}","e":"AQAB"}}"#, &RSA_N[..170]),
        &format!(r#"{{"kty":"EC","crv":"P-256","x":"{EC_X}","y":"{EC_X}"}}"#),
        &format!(r#"{{"kty":"EC","crv":"P-256","x":"{EC_X}"}}"#),
        &format!(r#"{{"kty":"EC","crv":"P-384","x":"{EC_X}","y":"{EC_Y}"}}"#),
        &format!(r#"{{"kty":"EC","crv":"P-256","x":"AA{EC_X}","y":"{EC_Y}"}}"#),
        &format!(r#"{{"kty":"EC","x":"{EC_X}","y":"{EC_Y}"}}"#),
        &format!(r#"{{"kty":"OKP","crv":"X25519","x":"{ED_X}"}}"#),
        &format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#, &ED_X[1..]),
        &format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{other_x}"}}"#),
    ] {
        let alone = why(jwks(bad));
        assert!(
            alone.contains("none of its keys is of use: key 0: "),
            "{alone}"
        );
        let keys = jwks(&format!("{bad},{good},{bad}")).unwrap();
        assert_eq!(keys.inner.keys.len(), 1, "{bad}");
        assert!(keys.verify(A1, 0).is_ok());
    }
    let set = why(jwks(&["{}"; 9].join(",")));
    assert_eq!(set.matches("key ").count(), REASONS, "{set}");
    for nothing in [
        "",
        "[]",
        "{}",
        r#"{"keys":{}}"#,
        r#"{"keys":[]}"#,
        &good,
        &format!("[[{good}]]"),
    ] {
        why(Keys::new().jwks(nothing));
    }
    // A null is nothing, and what is not known does not count.
    let roomy = r#"{"x":1,"keys":[{"kty":"OKP","crv":"Ed25519","alg":null,"d":"AA","x":"#;
    Keys::new()
        .jwks(&format!(r#"{roomy}"{ED_X}"}}]}}"#))
        .unwrap();
}

/// As many as `jwk` lists.
const REASONS: usize = 4;

#[test]
fn neither_debug_nor_errors_tell_a_secret() {
    let mut secret = [0; 40];
    rand::fill(&mut secret).unwrap();
    let text = STANDARD.encode(secret);
    let keys = Keys::new()
        .hs256(text.as_bytes())
        .unwrap()
        .with_kid("a")
        .unwrap();
    let shown = format!("{keys:?}");
    assert!(shown.contains(r#"(HS256, Some("a"))"#), "{shown}");
    let bytes = format!("{:?}", text.as_bytes());
    assert!(!shown.contains(&text[..8]) && !shown.contains(&bytes[1..20]));
    for set in [
        format!(r#"{{"keys":"{text}"}}"#),
        format!(r#"{{"keys":[{{"kty":"oct","k":"{text}"}}]}}"#),
        format!(r#"{{"keys":[{{"kty":"oct","{text}":1,"k":["{text}"]}}]}}"#),
    ] {
        if let Err(e) = Keys::new().jwks(&set) {
            assert!(!format!("{e} {e:?}").contains(&text[..8]));
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_text_is_no_token_and_does_no_harm(
        text in "\\PC*", parts in prop::array::uniform3("[A-Za-z0-9_-]{0,40}")
    ) {
        let keys = Keys::new().hs256(SECRET).unwrap();
        prop_assert!(!is_ali(&keys, &text));
        prop_assert!(!is_ali(&keys, &parts.join(".")));
        let _ = Keys::new().jwks(&text);
        let _ = Keys::new().rs256_pem(text.as_bytes());
        let rules = &keys.inner.rules;
        let _ = Claims::from_json(text.as_bytes(), rules, NOW);
    }

    #[test]
    fn a_token_with_some_character_changed_is_refused(
        sub in "[a-z]{1,20}", at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_-]"
    ) {
        let keys = Keys::new().hs256(SECRET).unwrap();
        let genuine = token(r#"{"alg":"HS256"}"#, &format!(r#"{{"sub":"{sub}"}}"#), |message| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
            hmac::sign(&key, message).as_ref().to_vec()
        });
        let claims = keys.verify(&genuine, NOW).unwrap();
        prop_assert_eq!(claims.user.as_deref(), Some(&*sub));
        let at = at.index(genuine.len());
        let mut forged = genuine.clone();
        forged.replace_range(at..=at, &to);
        let outcome = keys.verify(&forged, NOW);
        prop_assert_eq!(outcome.is_ok(), forged == genuine);
    }
}
