//! What stands in for features that the library was built without: whatever is asked of it is not
//! done, and says so.

use std::fmt::{Display, Formatter};

use roomcast::Status;

/// Why nothing is done.
#[derive(Debug)]
pub(crate) struct Unbuilt;

impl Unbuilt {
    pub(crate) fn status(&self) -> Status {
        Status::NotBuilt
    }
}

impl Display for Unbuilt {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        self.status().fmt(f)
    }
}

#[cfg(not(feature = "jwt"))]
pub(crate) mod jwt {
    use roomcast::{Claims, TokenError, Verify};

    use super::Unbuilt;

    #[derive(Clone)]
    pub(crate) struct Keys;

    impl Keys {
        pub(crate) fn new() -> Self {
            Keys
        }

        pub(crate) fn hs256(self, _: &[u8]) -> Result<Self, Unbuilt> {
            Err(Unbuilt)
        }

        pub(crate) fn rs256_pem(self, _: &[u8]) -> Result<Self, Unbuilt> {
            Err(Unbuilt)
        }

        pub(crate) fn es256_pem(self, _: &[u8]) -> Result<Self, Unbuilt> {
            Err(Unbuilt)
        }

        pub(crate) fn eddsa_pem(self, _: &[u8]) -> Result<Self, Unbuilt> {
            Err(Unbuilt)
        }

        pub(crate) fn jwks(self, _: &str) -> Result<Self, Unbuilt> {
            Err(Unbuilt)
        }

        pub(crate) fn with_kid(self, _: &str) -> Result<Self, Unbuilt> {
            Err(Unbuilt)
        }

        pub(crate) fn issuer(self, _: &str) -> Self {
            self
        }

        pub(crate) fn audience(self, _: &str) -> Self {
            self
        }

        pub(crate) fn leeway_s(self, _: u64) -> Self {
            self
        }
    }

    impl Verify for Keys {
        fn verify(&self, _: &str, _: u64) -> Result<Claims, TokenError> {
            Err(TokenError::Invalid)
        }
    }
}

#[cfg(not(feature = "tls"))]
pub(crate) mod tls {
    use roomcast::{Config, Handle, ListenOptions, Status};

    use super::Unbuilt;

    #[derive(Clone)]
    pub(crate) struct Tls;

    impl Tls {
        pub(crate) fn new() -> Self {
            Tls
        }

        pub(crate) fn pair(self, _: &[u8], _: &[u8]) -> Result<Self, Unbuilt> {
            Err(Unbuilt)
        }

        pub(crate) fn files(self, _: &str, _: &str) -> Result<Self, Unbuilt> {
            Err(Unbuilt)
        }

        pub(crate) fn tls13_only(self, _: bool) -> Self {
            self
        }
    }

    pub(crate) fn serve(config: Config, _: Tls) -> Config {
        config
    }

    pub(crate) fn reload(_: &Handle, _: &Tls) -> Result<(), Unbuilt> {
        Err(Unbuilt)
    }

    pub(crate) fn listen(options: ListenOptions, tls: bool) -> Result<ListenOptions, Status> {
        match tls {
            true => Err(Status::NotBuilt),
            false => Ok(options),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::mem::MaybeUninit;

    use crate::status::roomcast_status;

    #[test]
    #[cfg(not(feature = "jwt"))]
    fn there_are_no_keys() {
        let mut keys = MaybeUninit::uninit();
        let status = crate::keys::roomcast_keys_new(Some(&mut keys));
        assert_eq!(status, roomcast_status::NotBuilt);
    }

    #[test]
    #[cfg(not(feature = "tls"))]
    fn there_are_no_certificates_and_no_listeners_for_them() {
        let mut tls = MaybeUninit::uninit();
        let status = crate::tls::roomcast_tls_new(Some(&mut tls));
        assert_eq!(status, roomcast_status::NotBuilt);
        let options = roomcast::ListenOptions::new;
        assert!(super::tls::listen(options(), true).is_err());
        assert!(super::tls::listen(options(), false).is_ok());
    }
}
