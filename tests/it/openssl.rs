//! TLS listeners as `openssl s_client` sees them: which versions and suites are offered, and what
//! becomes of a client that renegotiates.
//!
//! In: the `openssl` of the machine; without one these tests say so and end. Out: what it reports.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use crate::house::{Open, config, open, until};
use crate::tls::{SECURE, made};

struct Seen {
    is_shaken: bool,
    text: String,
}

impl Seen {
    /// The suite that was agreed on.
    fn suite(&self) -> &str {
        let line = self.text.lines().find(|l| l.contains("Cipher is "));
        line.map_or("", |l| l.split("Cipher is ").nth(1).unwrap())
    }
}

fn house() -> (Open, SocketAddr) {
    let made = made("a.example");
    let house = open(
        config()
            .tls(made.tls())
            .listen_with("127.0.0.1:0", SECURE()),
    );
    let address = house.engine.addresses()[1];
    (house, address)
}

/// None where there is no openssl.
fn s_client(address: SocketAddr, arguments: &[&str], say: &[u8]) -> Option<Seen> {
    let child = Command::new("openssl")
        .args(["s_client", "-connect", &address.to_string()])
        .args(["-servername", "a.example"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("there is no openssl here");
        return None;
    };
    let _ = child.stdin.take().unwrap().write_all(say);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    let is_shaken = text.contains("Cipher is ") && !text.contains("Cipher is (NONE)");
    Some(Seen { is_shaken, text })
}

#[test]
fn versions_below_1_2_are_refused_and_those_above_agree_on_forward_secrecy() {
    let (_house, address) = house();
    // Old versions need a lower level of openssl's own to be offered at all.
    for version in ["-tls1", "-tls1_1"] {
        let arguments = [version, "-cipher", "ALL:@SECLEVEL=0"];
        let Some(seen) = s_client(address, &arguments, b"") else {
            return;
        };
        assert!(!seen.is_shaken, "{version}: {}", seen.text);
        assert!(seen.text.contains("SSL alert number"), "{}", seen.text);
    }
    for (version, says) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let seen = s_client(address, &[version], b"").unwrap();
        assert!(seen.is_shaken && seen.text.contains(says), "{}", seen.text);
        assert!(!seen.text.contains("Compression: zlib"));
        let bits = seen.text.lines().find(|l| l.contains("Temp Key"));
        assert!(bits.is_some(), "keys of its own: {}", seen.text);
        is_good(seen.suite());
    }
}

/// AEAD, and keys for each connection.
fn is_good(suite: &str) {
    let is_aead = suite.contains("GCM") || suite.contains("POLY1305");
    let is_forward = suite.starts_with("TLS_") || suite.starts_with("ECDHE-");
    assert!(is_aead && is_forward, "{suite}");
}

#[test]
fn of_all_suites_that_openssl_knows_none_other_is_agreed_on() {
    let (_house, address) = house();
    let Ok(list) = Command::new("openssl")
        .args([
            "ciphers",
            "-s",
            "-tls1_2",
            "ALL:COMPLEMENTOFALL:@SECLEVEL=0",
        ])
        .output()
    else {
        return;
    };
    let list = String::from_utf8(list.stdout).unwrap();
    let mut agreed = 0;
    for suite in list.trim().split(':') {
        let cipher = format!("{suite}:@SECLEVEL=0");
        let seen = s_client(address, &["-tls1_2", "-cipher", &cipher], b"").unwrap();
        if seen.is_shaken {
            assert_eq!(seen.suite(), suite);
            is_good(suite);
            agreed += 1;
        }
    }
    assert_eq!(
        agreed, 3,
        "AES-128 and AES-256 in GCM, and ChaCha20, for this key"
    );
}

#[test]
fn who_renegotiates_is_refused() {
    let (house, address) = house();
    // A line that is an R begins a renegotiation.
    let Some(seen) = s_client(address, &["-tls1_2"], b"R\n") else {
        return;
    };
    assert!(
        seen.is_shaken && seen.text.contains("no renegotiation"),
        "{}",
        seen.text
    );
    until("it to be gone", || {
        house.engine.snapshot().tls_connections == 0
    });
    assert_eq!(house.engine.snapshot().tls_handshakes, 1);
}
