//! NOT FOR PRODUCTION: a login that believes everybody who says a name.
//!
//! Your application asks for a password first, and signs the token then; or an identity provider
//! does, and the engine is given its public keys (`--jwks`). A real login would set the token as
//! a cookie with `HttpOnly; Secure; SameSite=Strict`, or answer a POST of your own page.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header, encode};
use roomcast::Page;
use serde_json::json;

/// Bytes of a name.
const NAME_BYTES_MAX: usize = 32;

pub struct Login {
    pub secret: Vec<u8>,
    /// Longer than `token_notice_ms`, or each new token would be about to expire at once.
    pub lifetime_s: u64,
}

impl Login {
    /// A token in JSON.
    pub fn page(&self, user: &str) -> Page {
        let is_name = user.bytes().all(|byte| byte.is_ascii_lowercase());
        if !is_name || !(1..=NAME_BYTES_MAX).contains(&user.len()) {
            return Page::new("text/plain", "a name has 1 to 32 letters from a to z\n").status(400);
        }
        match self.token(user) {
            Some(token) => Page::new("application/json", json!({ "token": token }).to_string()),
            None => Page::new("text/plain", "there is no token today\n").status(500),
        }
    }

    /// What the user may do is decided here, once for the life of the token.
    fn token(&self, user: &str) -> Option<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        let own = format!("board:{user}");
        let claims = json!({
            "sub": user,
            "aud": "board",
            "iat": now,
            "exp": now + self.lifetime_s,
            "rooms": {
                "board:lobby": "join publish presence",
                own: "join publish presence",
                "board:news": "join",
            },
        });
        let key = EncodingKey::from_secret(&self.secret);
        encode(&Header::default(), &claims, &key).ok()
    }
}
