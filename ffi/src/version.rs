//! Versions: of the header that a program was compiled with, and of the library that it runs with.

use std::ffi::c_char;

/// The header's version, first part: another one is another interface.
pub const ROOMCAST_VERSION_MAJOR: u32 = 0;
/// The header's version, second part: while the first is 0, another one is another interface.
pub const ROOMCAST_VERSION_MINOR: u32 = 1;
/// The header's version, third part.
#[cfg_attr(not(test), expect(dead_code, reason = "C names it"))]
pub const ROOMCAST_VERSION_PATCH: u32 = 0;
/// The header's version in one number: major * 1,000,000 + minor * 1,000 + patch.
pub const ROOMCAST_VERSION: u32 = 1000;

/// The library's version, as `ROOMCAST_VERSION` is the header's.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_version() -> u32 {
    ROOMCAST_VERSION
}

/// The library's version as text, such as "0.1.0"; valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_version_text() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Whether a program that was compiled with this header can use this library.
pub(crate) fn is_served(header: u32) -> bool {
    let (major, minor) = (header / 1_000_000, header / 1_000 % 1_000);
    let same_major = major == ROOMCAST_VERSION_MAJOR;
    match ROOMCAST_VERSION_MAJOR {
        0 => same_major && minor == ROOMCAST_VERSION_MINOR,
        _ => same_major && minor <= ROOMCAST_VERSION_MINOR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_has_the_packages_version() {
        let parts = [
            ROOMCAST_VERSION_MAJOR,
            ROOMCAST_VERSION_MINOR,
            ROOMCAST_VERSION_PATCH,
        ];
        let text = parts.map(|part| part.to_string()).join(".");
        assert_eq!(text, env!("CARGO_PKG_VERSION"));
        assert_eq!(
            ROOMCAST_VERSION,
            (parts[0] * 1_000 + parts[1]) * 1_000 + parts[2]
        );
    }

    #[test]
    fn another_interface_is_refused() {
        assert!(is_served(ROOMCAST_VERSION) && is_served(ROOMCAST_VERSION + 1));
        assert!(!is_served(0) && !is_served(ROOMCAST_VERSION + 1_000));
        assert!(!is_served(ROOMCAST_VERSION + 1_000_000) && !is_served(u32::MAX));
    }
}
