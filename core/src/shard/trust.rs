//! Whom the engine trusts: the check of tokens, what was revoked, and who guesses.
//!
//! One for the whole engine; short locks, taken for new connections and new tokens only. Any
//! thread.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{IpAddr, Ipv6Addr};

use serde_json::value::RawValue;

use crate::auth::{Auth, Claims, Places, TokenError, Verify};
use crate::config::Limits;
use crate::request::Request;
use crate::sync::{Arc, PlainMutex};
use crate::transport::http::Reject;

/// Addresses whose failures are counted at once.
const ADDRESSES_MAX: usize = 65_536;
/// The time in which failures are counted together.
const MINUTE_S: u64 = 60;

/// What a request has to show.
pub(crate) enum Proof {
    /// Nothing is asked for, or it was shown.
    Given(Option<Arc<Claims>>),
    /// It is to come in the first message.
    Later,
    Refused(Denial),
}

/// Why a request is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denial {
    Missing,
    Guessing,
    Token(TokenError),
}

impl Denial {
    pub(crate) fn reject(self) -> Reject {
        let text = match self {
            Denial::Missing => "a token is needed",
            Denial::Guessing => {
                let text = "too many tokens from this address were not valid (token_failures_max)";
                return Reject { status: 429, text };
            }
            Denial::Token(error) => error.status().text(),
        };
        Reject { status: 401, text }
    }
}

pub(crate) struct Trust {
    pub(crate) places: Places,
    verify: PlainMutex<Arc<dyn Verify>>,
    revoked: PlainMutex<Revoked>,
    failures: PlainMutex<Failures>,
    token_bytes_max: usize,
    failures_max: u32,
    revocations_max: usize,
}

impl Trust {
    pub(crate) fn new(auth: Auth, limits: &Limits) -> Self {
        Trust {
            verify: PlainMutex::new(auth.verify),
            places: auth.places,
            revoked: PlainMutex::default(),
            failures: PlainMutex::default(),
            token_bytes_max: limits.token_bytes_max,
            failures_max: limits.token_failures_max,
            revocations_max: limits.revocations_max,
        }
    }

    /// What a token says, if it is one of ours and holds.
    pub(crate) fn check(&self, token: &str, now_s: u64) -> Result<Claims, TokenError> {
        if token.is_empty() || token.len() > self.token_bytes_max {
            return Err(TokenError::Invalid);
        }
        let verify = self.verify.lock().clone();
        let mut claims = verify.verify(token, now_s)?;
        // Others are sent it within JSON.
        claims.info = claims.info.filter(|info| is_json(info));
        match self.is_revoked(&claims) {
            true => Err(TokenError::Revoked),
            false => Ok(claims),
        }
    }

    /// Bytes of a message that is a token.
    pub(crate) fn message_bytes_max(&self) -> usize {
        let begins = self.places.message.as_deref().map_or(0, str::len);
        begins.saturating_add(self.token_bytes_max)
    }

    /// Looks for the token of a request and checks it.
    pub(crate) fn prove(&self, request: &Request, now_s: u64) -> Proof {
        let Some(token) = self.places.token(request) else {
            return match (&self.places.message, self.places.optional) {
                (Some(_), _) => Proof::Later,
                (None, true) => Proof::Given(None),
                (None, false) => Proof::Refused(Denial::Missing),
            };
        };
        match self.check_of(&token, request.peer_ip(), now_s) {
            Ok(claims) => Proof::Given(Some(Arc::new(claims))),
            Err(denial) => Proof::Refused(denial),
        }
    }

    /// Checks a token that a stranger of this address brought.
    pub(crate) fn check_of(
        &self,
        token: &str,
        address: Option<IpAddr>,
        now_s: u64,
    ) -> Result<Claims, Denial> {
        if self.is_guessing(address, now_s) {
            return Err(Denial::Guessing);
        }
        self.check(token, now_s).map_err(|error| {
            if error == TokenError::Invalid {
                self.count_failure(address, now_s);
            }
            Denial::Token(error)
        })
    }

    /// From now on tokens are checked by this.
    pub(crate) fn replace(&self, verify: Arc<dyn Verify>) {
        // What goes may be the host's, and call us: so not under the lock.
        let before = std::mem::replace(&mut *self.verify.lock(), verify);
        drop(before);
    }

    pub(crate) fn is_revoked(&self, claims: &Claims) -> bool {
        self.revoked.lock().has(claims)
    }

    /// Remembers that tokens of a user which were made by now are not valid any more.
    pub(crate) fn revoke_user(&self, user: &Arc<str>, now_s: u64) {
        let mut revoked = self.revoked.lock();
        if revoked.users.insert(user.clone(), now_s).is_none() {
            revoked.order.push_back((Kind::User, user.clone()));
        }
        revoked.forget(self.revocations_max);
    }

    /// Remembers that this token is not valid any more.
    pub(crate) fn revoke_token(&self, token_id: &Arc<str>) {
        let mut revoked = self.revoked.lock();
        if revoked.tokens.insert(token_id.clone()) {
            revoked.order.push_back((Kind::Token, token_id.clone()));
        }
        revoked.forget(self.revocations_max);
    }

    /// Whether tokens of this address are not looked at for now.
    fn is_guessing(&self, address: Option<IpAddr>, now_s: u64) -> bool {
        let Some(address) = address.filter(|_| self.failures_max > 0) else {
            return false;
        };
        let failures = self.failures.lock();
        let found = failures.by_address.get(&network(address));
        found.is_some_and(|f| f.minute == now_s / MINUTE_S && f.count >= self.failures_max)
    }

    /// A token of this address was not valid.
    fn count_failure(&self, address: Option<IpAddr>, now_s: u64) {
        let Some(address) = address.filter(|_| self.failures_max > 0) else {
            return;
        };
        self.failures
            .lock()
            .count(network(address), now_s / MINUTE_S);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    User,
    Token,
}

#[derive(Default)]
struct Revoked {
    /// When, in seconds since 1970.
    users: HashMap<Arc<str>, u64>,
    tokens: HashSet<Arc<str>>,
    order: VecDeque<(Kind, Arc<str>)>,
}

impl Revoked {
    fn has(&self, claims: &Claims) -> bool {
        let token = claims.token_id.as_ref();
        let user = claims.user.as_ref();
        token.is_some_and(|id| self.tokens.contains(id))
            || user
                .and_then(|user| self.users.get(user))
                .is_some_and(|at| {
                    // Who cannot say when it was made may be from before.
                    claims.issued_at.is_none_or(|made| made <= *at)
                })
    }

    fn forget(&mut self, most: usize) {
        while self.order.len() > most {
            match self.order.pop_front() {
                Some((Kind::User, user)) => drop(self.users.remove(&user)),
                Some((Kind::Token, id)) => drop(self.tokens.remove(&id)),
                None => return,
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Failure {
    minute: u64,
    count: u32,
}

#[derive(Default)]
struct Failures {
    by_address: HashMap<IpAddr, Failure>,
}

impl Failures {
    fn count(&mut self, address: IpAddr, minute: u64) {
        if self.by_address.len() >= ADDRESSES_MAX && !self.by_address.contains_key(&address) {
            self.by_address
                .retain(|_, failure| failure.minute == minute);
            if self.by_address.len() >= ADDRESSES_MAX {
                // More guessers than there is place for: those who tried least are forgotten.
                self.by_address.retain(|_, failure| failure.count > 1);
            }
            if self.by_address.len() >= ADDRESSES_MAX {
                self.by_address.clear();
            }
        }
        let none = Failure { minute, count: 0 };
        let failure = self.by_address.entry(address).or_insert(none);
        if failure.minute != minute {
            *failure = none;
        }
        failure.count = failure.count.saturating_add(1);
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

/// Who has one address of IPv6 has a network of them.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => v4.into(),
            None => Ipv6Addr::from(u128::from(v6) & (u128::MAX << 64)).into(),
        },
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::config::Config;

    fn trust(config: Config) -> Trust {
        let verify = |token: &str, _: u64| match token.split_once('@') {
            Some((user, made)) => Ok(Claims {
                user: Some(user.into()),
                issued_at: made.parse().ok(),
                token_id: Some(token.into()),
                ..Claims::new()
            }),
            None => Err(TokenError::Invalid),
        };
        Trust::new(Auth::new(verify), &config.limits)
    }

    #[test]
    fn a_user_is_revoked_up_to_now() {
        let trust = trust(Config::new());
        assert!(trust.check("ada@99", 100).is_ok());
        trust.revoke_user(&"ada".into(), 100);
        for refused in ["ada@99", "ada@100", "ada@?"] {
            assert_eq!(
                trust.check(refused, 101),
                Err(TokenError::Revoked),
                "{refused}"
            );
        }
        assert!(trust.check("ada@101", 101).is_ok() && trust.check("bob@99", 101).is_ok());
    }

    #[test]
    fn a_token_is_revoked_alone_and_the_oldest_revocation_is_forgotten() {
        let trust = trust(Config::new().revocations_max(2));
        for id in ["ada@1", "ada@2", "ada@2"] {
            trust.revoke_token(&id.into());
        }
        assert_eq!(trust.check("ada@1", 9), Err(TokenError::Revoked));
        assert!(trust.check("ada@3", 9).is_ok());
        trust.revoke_user(&"bob".into(), 9);
        assert!(trust.check("ada@1", 9).is_ok());
        assert_eq!(trust.check("ada@2", 9), Err(TokenError::Revoked));
    }

    #[test]
    fn tokens_have_a_length() {
        let trust = trust(Config::new().token_bytes_max(5));
        assert!(trust.check("ada@1", 9).is_ok());
        assert_eq!(trust.check("ada@10", 9), Err(TokenError::Invalid));
        assert_eq!(trust.check("", 9), Err(TokenError::Invalid));
    }

    #[test]
    fn guessers_wait_for_the_next_minute() {
        let trust = trust(Config::new().token_failures_max(2));
        let address = |text: &str| Some(text.parse::<IpAddr>().unwrap());
        let (one, other) = (address("2001:db8::1"), address("2001:db8::2"));
        trust.count_failure(one, 60);
        assert!(!trust.is_guessing(other, 61));
        trust.count_failure(other, 61);
        assert!(trust.is_guessing(one, 119) && !trust.is_guessing(one, 120));
        assert!(!trust.is_guessing(address("2001:db8:0:1::1"), 61));
        assert!(!trust.is_guessing(None, 61));
    }

    #[test]
    fn a_flood_of_addresses_takes_bounded_memory() {
        let mut failures = Failures::default();
        for n in 0..200_000u32 {
            failures.count(IpAddr::from(n.to_be_bytes()), 1);
            assert!(failures.by_address.len() <= ADDRESSES_MAX);
        }
    }
}
