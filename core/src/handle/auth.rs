//! Tokens of live connections: renewed, revoked, and checked by other keys from now on.
//!
//! In: calls. Out: what a token says, to the connection's shard; revocations, to all of them. Any
//! thread.

use super::Handle;
use crate::auth::{Claims, TokenError, Verify};
use crate::payload::ConnectionId;
use crate::shard::shared::Ask;
use crate::shard::tokens::Revocation;
use crate::sync::Arc;

/// Whom [`Handle::revoke`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Revoke<'a> {
    /// This connection. It may come back, even with the same token.
    Connection(ConnectionId),
    /// All connections of this user, and all tokens of its that were made by now: those with an
    /// `iat` of this second or before, or without one.
    User(&'a str),
    /// The connections with the token of this id (`jti`), and that token from now on.
    Token(&'a str),
}

impl Handle {
    /// Gives a connection a new token in place of the one it has, or of none. Its user stays: a
    /// token of another user changes nothing, and is counted (`tokens_refused`). The token is
    /// checked on this thread.
    ///
    /// # Errors
    /// [`TokenError`]; the connection goes on as before.
    pub fn refresh(&self, id: ConnectionId, token: &str) -> Result<(), TokenError> {
        self.refresh_as(id, None, token)
    }

    /// As [`Handle::refresh`], for a host that finds out by itself who a peer is
    /// ([`Accept::claims`](crate::Accept::claims)): from now on this holds of the connection.
    ///
    /// # Errors
    /// [`TokenError::Gone`] and [`TokenError::Stopped`].
    pub fn refresh_with(&self, id: ConnectionId, mut claims: Claims) -> Result<(), TokenError> {
        let shard = self.shard_of_live(id)?;
        claims.info = claims.info.filter(|info| self.admits_info(info));
        self.shared.ask(shard, Ask::Renew(id, Arc::new(claims)));
        Ok(())
    }

    fn shard_of_live(&self, id: ConnectionId) -> Result<usize, TokenError> {
        if id.shard() >= self.shared.inboxes.len() {
            return Err(TokenError::Gone);
        }
        match self.shared.is_stopping() {
            true => Err(TokenError::Stopped),
            false => Ok(id.shard()),
        }
    }

    pub(crate) fn refresh_as(
        &self,
        id: ConnectionId,
        user: Option<&str>,
        token: &str,
    ) -> Result<(), TokenError> {
        let trust = self.shared.trust.as_ref().ok_or(TokenError::NoAuth)?;
        let shard = self.shard_of_live(id)?;
        let claims = trust.check(token, self.shared.clock.unix_ms() / 1_000)?;
        if user.is_some() && claims.user.is_some() && claims.user.as_deref() != user {
            return Err(TokenError::Invalid);
        }
        self.shared.ask(shard, Ask::Renew(id, Arc::new(claims)));
        Ok(())
    }

    /// Closes connections with [`REVOKED`](crate::REVOKED), at once, and keeps their tokens out
    /// for the life of the engine, within `revocations_max`. Without [`Config::auth`] only live
    /// connections are concerned. What other processes have to know, tell them too.
    ///
    /// [`Config::auth`]: crate::Config::auth
    pub fn revoke(&self, whom: Revoke<'_>) {
        let now_s = self.shared.clock.unix_ms() / 1_000;
        let trust = self.shared.trust.as_ref();
        let revocation = match whom {
            Revoke::Connection(id) => Revocation::Connection(id),
            Revoke::User(user) => {
                let user: Arc<str> = user.into();
                if let Some(trust) = trust {
                    trust.revoke_user(&user, now_s);
                }
                Revocation::User(user)
            }
            Revoke::Token(token_id) => {
                let token_id: Arc<str> = token_id.into();
                if let Some(trust) = trust {
                    trust.revoke_token(&token_id);
                }
                Revocation::Token(token_id)
            }
        };
        let revocation = Arc::new(revocation);
        for shard in 0..self.shared.inboxes.len() {
            self.shared.ask(shard, Ask::Revoke(revocation.clone()));
        }
    }

    /// Has tokens checked by this from now on, in place of what [`Config::auth`] was given: after
    /// keys have changed. Live connections keep what their tokens said.
    ///
    /// # Errors
    /// [`TokenError::NoAuth`].
    ///
    /// [`Config::auth`]: crate::Config::auth
    pub fn reload_auth(&self, verify: impl Verify) -> Result<(), TokenError> {
        let trust = self.shared.trust.as_ref().ok_or(TokenError::NoAuth)?;
        trust.replace(Arc::new(verify));
        Ok(())
    }
}
