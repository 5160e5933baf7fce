//! TLS: certificates with their keys, for a configuration and for an engine that runs.

use std::ffi::c_char;

use roomcast::Status;

#[cfg(feature = "tls")]
use self::built::{Tls, reload, serve};

use crate::boundary::{Out, Why, give, given, guard, place, roomcast_bytes, roomcast_str};
use crate::config::{build, change, roomcast_config};
use crate::engine::{engine_guard, roomcast_engine};
use crate::status::roomcast_status;
#[cfg(not(feature = "tls"))]
use crate::unbuilt::tls::{Tls, reload, serve};

/// What `unbuilt` stands in for.
#[cfg(feature = "tls")]
pub(crate) mod built {
    pub(crate) use roomcast::Tls;
    use roomcast::{Config, Handle, ListenOptions, Status, TlsError};

    pub(crate) fn serve(config: Config, tls: Tls) -> Config {
        config.tls(tls)
    }

    pub(crate) fn reload(handle: &Handle, tls: &Tls) -> Result<(), TlsError> {
        handle.reload_tls(tls)
    }

    pub(crate) fn listen(options: ListenOptions, tls: bool) -> Result<ListenOptions, Status> {
        Ok(options.tls(tls))
    }
}

/// Certificates with their keys, and the versions of TLS that are spoken: 1.2 and 1.3. One thread
/// at a time.
///
/// Made by `roomcast_tls_new`, filled by `roomcast_tls_add_...` and `_set_...`, read by
/// `roomcast_config_set_tls` and `roomcast_engine_reload_tls` (which copy it), let go of by
/// `roomcast_tls_free`.
///
/// Of several certificates a peer is shown the first that has the name which it asks for (a
/// wildcard stands for one label) with a key that it can check; the very first where it asks for
/// none, or for a name that none has.
pub struct roomcast_tls {
    tls: Tls,
}

/// Makes it without any certificate: one at least is to be added.
///
/// @param tls gets the new value
/// @return `ROOMCAST_STATUS_NOT_BUILT` where the library speaks no TLS
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_tls_new(tls: Out<'_, Box<roomcast_tls>>) -> roomcast_status {
    guard(|| {
        let place = place(tls)?;
        if cfg!(not(feature = "tls")) {
            return Err(Status::NotBuilt);
        }
        give(place, roomcast_tls { tls: Tls::new() });
        Ok(())
    })
}

/// Lets go of it; what it was given to keeps the certificates. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_tls_free(tls: Option<Box<roomcast_tls>>) {
    guard(|| {
        drop(tls);
        Ok(())
    });
}

/// Adds a certificate, with those that certify it behind it, and its private key, both in PEM; they
/// may stand in one text. Keys are PKCS#8, SEC 1 or PKCS#1; ECDSA P-256 costs a tenth of what RSA
/// does.
///
/// @param certificate PEM
/// @param key PEM
/// @param why if not NULL, gets a sentence that says what is wrong with which of the two
/// @param why_size bytes that `why` has place for
/// @return `ROOMCAST_STATUS_CERTIFICATE` for what cannot be used
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_tls_add_pair(
    tls: Option<&mut roomcast_tls>,
    certificate: roomcast_bytes,
    key: roomcast_bytes,
    why: *mut c_char,
    why_size: usize,
) -> roomcast_status {
    let why = Why {
        text: why,
        size: why_size,
    };
    guard(|| {
        let (tls, certificate, key) = (given(tls)?, certificate.bytes()?, key.bytes()?);
        let added = tls.tls.clone().pair(certificate, key);
        tls.tls = added.map_err(|error| why.told(error.status(), &error))?;
        Ok(())
    })
}

/// Adds a certificate and its private key, as `roomcast_tls_add_pair`, from two files, or twice the
/// same one. They are read now.
///
/// @param certificate the file's path
/// @param key the file's path
/// @param why if not NULL, gets a sentence that names the file, and says what is wrong
/// @param why_size bytes that `why` has place for; 512 are enough for most paths
/// @return also `ROOMCAST_STATUS_IO` for a file that cannot be read
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_tls_add_files(
    tls: Option<&mut roomcast_tls>,
    certificate: roomcast_str,
    key: roomcast_str,
    why: *mut c_char,
    why_size: usize,
) -> roomcast_status {
    let why = Why {
        text: why,
        size: why_size,
    };
    guard(|| {
        let (tls, certificate, key) = (given(tls)?, certificate.text()?, key.text()?);
        let added = tls.tls.clone().files(certificate, key);
        tls.tls = added.map_err(|error| why.told(error.status(), &error))?;
        Ok(())
    })
}

/// With true TLS 1.2 is refused. Default false.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_tls_set_tls13_only(
    tls: Option<&mut roomcast_tls>,
    only: bool,
) -> roomcast_status {
    guard(|| {
        let tls = given(tls)?;
        tls.tls = tls.tls.clone().tls13_only(only);
        Ok(())
    })
}

/// Sets the certificates of the listeners with `tls` in their `roomcast_listen_options`.
///
/// @param tls copied
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_config_set_tls(
    config: Option<&mut roomcast_config>,
    tls: Option<&roomcast_tls>,
) -> roomcast_status {
    change(config, |config| {
        let tls = given(tls)?.tls.clone();
        build(config, |c| serve(c, tls));
        Ok(())
    })
}

/// Serves new TLS handshakes with these certificates from now on. No connection is dropped: those
/// that are there go on under the keys that they have, handshakes on their way under the
/// certificate that they were shown, and tickets that were given out stay good.
///
/// @param tls copied
/// @param why if not NULL, gets a sentence that says what is wrong
/// @param why_size bytes that `why` has place for
/// @return `ROOMCAST_STATUS_CERTIFICATE` where it has none; `_CONFIG` for an engine that was
///         started without any; `_STOPPED`. What was served before goes on being served then.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_engine_reload_tls(
    engine: Option<&roomcast_engine>,
    tls: Option<&roomcast_tls>,
    why: *mut c_char,
    why_size: usize,
) -> roomcast_status {
    let why = Why {
        text: why,
        size: why_size,
    };
    engine_guard(engine, |engine| {
        let tls = &given(tls)?.tls;
        let reloaded = reload(engine.handle(), tls);
        reloaded.map_err(|error| why.told(error.status(), &error))
    })
}
