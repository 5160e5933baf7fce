//! Tokens, from the request to the end of their time: where they are, what they allow, how they
//! are renewed and revoked, in virtual time.
//!
//! Tokens are words of the test's own: a user, a lifetime in seconds (`-` for none), an id. The
//! peers' bytes are held against what the host is told. One engine of one shard.

use std::sync::{Arc, Mutex};

use roomcast::testing::Sim;
use roomcast::{
    Accept, Auth, Claims, CloseReason, Config, Connection, ConnectionId, Grants, Handler, Join,
    Message, Pending, Publication, Request, Revoke, Snapshot, TokenError, Verb, Wish,
};

use crate::frames;

const AUTH: &str = "token ";

fn verify(token: &str, now_s: u64) -> Result<Claims, TokenError> {
    let mut parts = token.split(':');
    let (user, life, id) = match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(user), Some(life), Some(id), None) if !user.is_empty() => (user, life, id),
        _ => return Err(TokenError::Invalid),
    };
    if life == "0" {
        return Err(TokenError::Expired);
    }
    let mut claims = Claims::new();
    claims.user = Some(user.into());
    claims.issued_at = Some(now_s);
    claims.expires_at = life.parse::<u64>().ok().map(|life| now_s + life);
    claims.token_id = Some(id.into());
    let (join, publish) = ([Verb::Join], [Verb::Join, Verb::Publish]);
    claims.grants = Grants::new().allow("open:*", &publish).allow("read", &join);
    Ok(claims)
}

/// What the host was told, in words.
#[derive(Default)]
struct Book {
    told: Vec<String>,
    opened: Vec<ConnectionId>,
    wishes: Vec<Wish>,
}

struct Host(Arc<Mutex<Book>>);

impl Host {
    fn note(&self, connection: Connection<'_>, what: &str) {
        let user = connection.user().unwrap_or("nobody");
        self.0.lock().unwrap().told.push(format!("{user} {what}"));
    }
}

impl Handler for Host {
    fn connecting(&self, request: &Request, pending: Pending) {
        let claims = request.claims();
        let user = claims.and_then(|claims| claims.user.as_deref());
        let line = format!("{} asks", user.unwrap_or("nobody"));
        self.0.lock().unwrap().told.push(line);
        match request.path() {
            "/no" => pending.refuse(403, "not today"),
            "/own" => {
                let mut claims = Claims::new();
                claims.user = Some("own".into());
                pending.accept(Accept::new().claims(claims));
            }
            _ => pending.accept(Accept::new()),
        }
    }

    fn opened(&self, connection: Connection<'_>) {
        self.note(connection, "opened");
        self.0.lock().unwrap().opened.push(connection.id());
    }

    fn message(&self, connection: Connection<'_>, message: Message<'_>) {
        let text = message.text().expect("peers send text").to_owned();
        self.note(connection, &format!("said {text}"));
        let (verb, rest) = text.split_once(' ').unwrap_or((&text, ""));
        match verb {
            "join" => connection.request_join(rest, Join::new()).unwrap(),
            "publish" => {
                let me = [connection.id()];
                let said = Publication::text("news").except(&me);
                connection.request_publish(rest, said).unwrap();
            }
            "refresh" => {
                let refreshed = connection.refresh(rest);
                self.note(connection, &format!("refreshed {refreshed:?}"));
            }
            _ => {}
        }
    }

    fn expiring(&self, connection: Connection<'_>) {
        self.note(connection, "expires");
    }

    fn permission(&self, connection: Connection<'_>, wish: Wish) {
        self.note(
            connection,
            &format!("wishes to {} {}", wish.verb(), wish.room()),
        );
        match wish.room() {
            "asked" => assert!(wish.allow()),
            "later" => self.0.lock().unwrap().wishes.push(wish),
            _ => wish.deny(),
        }
    }

    fn closed(&self, connection: Connection<'_>, reason: &CloseReason) {
        self.note(connection, &format!("closed {}", reason.name()));
    }
}

struct Desk {
    sim: Sim,
    book: Arc<Mutex<Book>>,
}

impl Desk {
    fn new(config: Config, auth: Auth) -> Desk {
        let book = Arc::new(Mutex::new(Book::default()));
        let config = config.auth(auth).ping_interval_ms(0);
        let sim = Sim::new(config, Host(book.clone()));
        Desk { sim, book }
    }

    fn plain() -> Desk {
        Desk::new(Config::new(), Auth::new(verify))
    }

    fn spoken() -> Desk {
        Desk::new(Config::new(), Auth::new(verify).message(AUTH))
    }

    fn connect(&mut self, path: &str) -> u32 {
        let peer = self.sim.connect(path, true);
        self.sim.settle();
        peer
    }

    fn say(&mut self, peer: u32, text: &str) {
        self.sim.feed_frame(peer, frames::TEXT, text.as_bytes());
        self.sim.settle();
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.book.lock().unwrap().told)
    }

    /// The status of the answer to a request that was turned away.
    fn status(&mut self, peer: u32) -> String {
        let answer = String::from_utf8(self.sim.take_output(peer)).unwrap();
        answer["HTTP/1.1 ".len()..][..3].to_owned()
    }

    /// What the peer was sent since it connected, or since its 101: texts, and close codes.
    fn heard(&mut self, peer: u32) -> Vec<String> {
        let mut bytes = self.sim.take_output(peer);
        if !bytes.starts_with(b"HTTP/1.1 ") {
            bytes.splice(0..0, *b"HTTP/1.1 101\r\n\r\n");
        }
        let frames = frames::frames(&bytes).expect("a 101");
        let words = frames.iter().map(|(opcode, payload)| match *opcode {
            frames::CLOSE => u16::from_be_bytes([payload[0], payload[1]]).to_string(),
            _ => String::from_utf8(payload.clone()).unwrap(),
        });
        words.collect()
    }

    fn snapshot(&self) -> Snapshot {
        self.sim.handle().snapshot()
    }
}

#[test]
fn a_request_without_a_valid_token_is_turned_away_unheard() {
    let mut desk = Desk::plain();
    for (path, status) in [
        ("/", "401"),
        ("/?token=", "401"),
        ("/?token=garbage", "401"),
        ("/?token=ada:0:t", "401"),
        ("/?token=ada:-:t", "101"),
    ] {
        let peer = desk.connect(path);
        assert_eq!(desk.status(peer), status, "{path}");
    }
    assert_eq!(desk.told(), ["ada asks", "ada opened"]);
    let figures = desk.snapshot();
    assert_eq!((figures.rejected_token, figures.tokens_refused), (4, 3));
    assert_eq!(figures.tokens_accepted, 1);
}

#[test]
fn a_token_is_found_where_the_host_says() {
    let auth = Auth::new(verify).header("x-token").cookie("sid").query("t");
    let mut desk = Desk::new(Config::new(), auth);
    for (path, fields, user) in [
        ("/", "X-Token: ada:-:1\r\n", "ada"),
        ("/", "X-Token: bearer bob:-:1\r\n", "bob"),
        ("/?t=cid%3A-:1", "", "cid"),
        ("/", "Cookie: a=b; sid=dan:-:1\r\n", "dan"),
        ("/?t=no:-:1", "X-Token: eve:-:1\r\n", "eve"),
    ] {
        desk.sim.connect_with(path, fields, true);
        desk.sim.settle();
        assert_eq!(
            desk.told(),
            [format!("{user} asks"), format!("{user} opened")]
        );
    }
    let fields = "Authorization: Bearer fay:-:1\r\n";
    let peer = desk.sim.connect_with("/?token=fay:-:1", fields, true);
    desk.sim.settle();
    assert_eq!(desk.status(peer), "401");
}

#[test]
fn an_optional_token_must_be_valid_where_there_is_one() {
    let mut desk = Desk::new(Config::new(), Auth::new(verify).optional(true));
    let bad = desk.connect("/?token=garbage");
    assert_eq!(desk.status(bad), "401");
    desk.connect("/");
    assert_eq!(desk.told(), ["nobody asks", "nobody opened"]);
}

#[test]
fn the_first_message_may_be_the_token_and_what_follows_waits() {
    let mut desk = Desk::spoken();
    let peer = desk.connect("/");
    assert!(desk.told().is_empty());
    let mut bytes = Vec::new();
    for text in ["token ada:-:1", "one", "two"] {
        bytes.extend([0x81, 0x80 | text.len() as u8, 0, 0, 0, 0]);
        bytes.extend(text.as_bytes());
    }
    // All in one read: the host decides between the first and the others.
    desk.sim.feed(peer, &bytes);
    desk.sim.settle();
    let told = ["ada asks", "ada opened", "ada said one", "ada said two"];
    assert_eq!(desk.told(), told);
}

#[test]
fn a_token_may_also_come_in_the_request_where_messages_may_bring_it() {
    let mut desk = Desk::new(
        Config::new(),
        Auth::new(verify).message(AUTH).query("token"),
    );
    desk.connect("/?token=ada:-:1");
    assert_eq!(desk.told(), ["ada asks", "ada opened"]);
}

#[test]
fn a_first_message_that_is_no_token_ends_the_connection() {
    for first in ["hello", "token nonsense", "token ada:0:1", "token "] {
        let mut desk = Desk::spoken();
        let peer = desk.connect("/");
        desk.say(peer, first);
        assert_eq!(desk.heard(peer), ["4401"], "{first}");
        assert!(desk.told().is_empty(), "{first}");
        assert_eq!(desk.snapshot().rejected_token, 1);
    }
}

#[test]
fn nobody_says_more_than_a_token_before_the_proof() {
    let mut desk = Desk::new(
        Config::new().token_bytes_max(1_000),
        Auth::new(verify).message(AUTH),
    );
    let peer = desk.connect("/");
    // 1,006 bytes may come: more is refused by its header alone.
    desk.sim.feed(peer, &[0x81, 0xfe, 3, 239, 0, 0, 0, 0]);
    desk.sim.settle();
    assert_eq!(desk.heard(peer), ["1009"]);
}

#[test]
fn who_says_nothing_is_closed_in_time_and_is_a_handshake_until_then() {
    let mut desk = Desk::new(
        Config::new().handshake_timeout_ms(1_000),
        Auth::new(verify).message(AUTH),
    );
    let peer = desk.connect("/");
    desk.sim.run_ms(980);
    assert!(desk.heard(peer).is_empty());
    desk.sim.run_ms(40);
    assert_eq!(desk.heard(peer), ["4401"]);
    desk.sim.run_ms(10_000);
    assert_eq!(desk.snapshot().connections, 0);
    assert!(desk.told().is_empty());
}

#[test]
fn who_proved_itself_and_is_refused_is_told_in_a_close_frame() {
    let mut desk = Desk::spoken();
    let peer = desk.connect("/no");
    desk.say(peer, "token ada:-:1");
    assert_eq!(desk.heard(peer), ["4403"]);
    assert_eq!(desk.told(), ["ada asks"]);
}

#[test]
fn pings_and_closes_are_answered_before_the_proof() {
    let mut desk = Desk::spoken();
    let peer = desk.connect("/");
    desk.sim.feed_frame(peer, 9, b"?");
    desk.sim.settle();
    assert_eq!(desk.heard(peer), ["?"]);
    desk.sim.feed_frame(peer, 8, &1000u16.to_be_bytes());
    desk.sim.settle();
    assert_eq!(desk.heard(peer), ["1000"]);
    desk.sim.end(peer);
    desk.sim.run_ms(3_000);
    assert_eq!(desk.snapshot().connections, 0);
}

#[test]
fn a_stop_reaches_those_who_have_not_proved_themselves() {
    let mut desk = Desk::spoken();
    let peer = desk.connect("/");
    desk.sim.stop();
    desk.sim.run_ms(10_000);
    assert_eq!(desk.heard(peer), ["4503"]);
    assert!(!desk.sim.is_running());
}

#[test]
fn an_expiring_token_is_told_and_then_ends_the_connection() {
    let auth = Auth::new(verify).notice("renew");
    let mut desk = Desk::new(Config::new().token_notice_ms(5_000), auth);
    let peer = desk.connect("/?token=ada:60:1");
    desk.sim.run_ms(54_900);
    assert_eq!(desk.told(), ["ada asks", "ada opened"]);
    desk.sim.run_ms(200);
    assert_eq!(desk.told(), ["ada expires"]);
    assert_eq!(desk.heard(peer), ["renew"]);
    desk.sim.run_ms(4_800);
    assert!(desk.heard(peer).is_empty());
    desk.sim.run_ms(200);
    assert_eq!(desk.heard(peer), ["4003"]);
    desk.sim.run_ms(5_000);
    assert_eq!(desk.told(), ["ada closed token_expired"]);
}

#[test]
fn without_a_notice_the_end_comes_untold() {
    let mut desk = Desk::new(Config::new().token_notice_ms(0), Auth::new(verify));
    let peer = desk.connect("/?token=ada:60:1");
    desk.sim.run_ms(59_900);
    assert!(desk.heard(peer).is_empty());
    desk.sim.run_ms(200);
    assert_eq!(desk.heard(peer), ["4003"]);
    assert_eq!(desk.told(), ["ada asks", "ada opened"]);
}

#[test]
fn a_new_token_in_a_message_is_for_the_engine_alone() {
    let mut desk = Desk::spoken();
    let peer = desk.connect("/");
    desk.say(peer, "token ada:60:1");
    desk.sim.run_ms(50_000);
    desk.say(peer, "token ada:60:2");
    desk.sim.run_ms(29_000);
    let told = ["ada asks", "ada opened", "ada expires"];
    assert_eq!(desk.told(), told);
    // Told a second time, of the second token.
    desk.sim.run_ms(2_000);
    assert_eq!(desk.told(), ["ada expires"]);
    desk.sim.run_ms(31_000);
    assert_eq!(desk.heard(peer), ["4003"]);
}

#[test]
fn a_new_token_without_an_end_ends_the_waiting() {
    let mut desk = Desk::spoken();
    let peer = desk.connect("/");
    desk.say(peer, "token ada:60:1");
    desk.say(peer, "token ada:-:2");
    desk.sim.run_ms(600_000);
    assert!(desk.heard(peer).is_empty());
}

#[test]
fn a_bad_new_token_in_a_message_ends_the_connection_behind_what_it_said() {
    let mut desk = Desk::spoken();
    let peer = desk.connect("/");
    desk.say(peer, "token ada:60:1");
    desk.say(peer, "last words");
    desk.say(peer, "token nonsense");
    assert_eq!(desk.heard(peer), ["4401"]);
    desk.sim.run_ms(5_000);
    let told = [
        "ada asks",
        "ada opened",
        "ada said last words",
        "ada closed unauthorized",
    ];
    assert_eq!(desk.told(), told);
}

#[test]
fn the_host_may_refresh_and_a_token_of_another_user_changes_nothing() {
    let mut desk = Desk::plain();
    let peer = desk.connect("/?token=ada:60:1");
    for (token, outcome) in [
        ("bob:999:2", "Err(Invalid)"),
        ("nonsense", "Err(Invalid)"),
        ("ada:0:2", "Err(Expired)"),
        ("ada:120:2", "Ok(())"),
    ] {
        desk.told();
        desk.say(peer, &format!("refresh {token}"));
        assert_eq!(desk.told()[1], format!("ada refreshed {outcome}"));
    }
    desk.sim.run_ms(119_000);
    assert!(desk.heard(peer).is_empty());
    desk.sim.run_ms(2_000);
    assert_eq!(desk.heard(peer), ["4003"]);
}

#[test]
fn a_host_without_tokens_says_by_itself_how_long_a_connection_may_stay() {
    let book = Arc::new(Mutex::new(Book::default()));
    let config = Config::new().ping_interval_ms(0);
    let sim = Sim::new(config, Host(book.clone()));
    let mut desk = Desk { sim, book };
    let peer = desk.connect("/own");
    let id = desk.book.lock().unwrap().opened[0];
    let claims = |user: &str, life| {
        let mut claims = Claims::new();
        claims.user = Some(user.into());
        claims.expires_at = Some(1_577_836_800 + life);
        claims
    };
    let handle = desk.sim.handle().clone();
    handle.refresh_with(id, claims("own", 60)).unwrap();
    handle.refresh_with(id, claims("other", 10)).unwrap();
    desk.sim.run_ms(59_000);
    assert!(desk.heard(peer).is_empty());
    handle.refresh_with(id, claims("own", 90)).unwrap();
    desk.sim.run_ms(29_000);
    assert!(desk.heard(peer).is_empty());
    desk.sim.run_ms(3_000);
    assert_eq!(desk.heard(peer), ["4003"]);
}

#[test]
fn revoking_a_user_ends_its_connections_and_keeps_its_tokens_out() {
    let mut desk = Desk::plain();
    let (one, two) = (
        desk.connect("/?token=ada:-:1"),
        desk.connect("/?token=ada:-:2"),
    );
    let other = desk.connect("/?token=bob:-:3");
    desk.sim.handle().revoke(Revoke::User("ada"));
    desk.sim.settle();
    assert_eq!(
        (desk.heard(one), desk.heard(two)),
        (vec!["4004".into()], vec!["4004".into()])
    );
    assert!(desk.heard(other).is_empty());
    let late = desk.connect("/?token=ada:-:4");
    assert_eq!(desk.status(late), "401");
    desk.sim.run_ms(2_000);
    // Made after that, so it is another login.
    let new = desk.connect("/?token=ada:-:5");
    assert_eq!(desk.status(new), "101");
}

#[test]
fn revoking_a_token_or_a_connection_ends_just_that() {
    let mut desk = Desk::plain();
    let one = desk.connect("/?token=ada:-:1");
    let two = desk.connect("/?token=ada:-:2");
    desk.sim.handle().revoke(Revoke::Token("1"));
    desk.sim.settle();
    assert_eq!(desk.heard(one), ["4004"]);
    assert!(desk.heard(two).is_empty());
    let again = desk.connect("/?token=ada:-:1");
    assert_eq!(desk.status(again), "401");
    let id = desk.book.lock().unwrap().opened[1];
    desk.sim.handle().revoke(Revoke::Connection(id));
    desk.sim.settle();
    assert_eq!(desk.heard(two), ["4004"]);
    let back = desk.connect("/?token=ada:-:2");
    assert_eq!(desk.status(back), "101");
}

#[test]
fn guessers_are_not_looked_at_after_so_many_failures() {
    // A simulated peer has no address, so it is named by none, and is never a guesser.
    let mut desk = Desk::new(Config::new().token_failures_max(2), Auth::new(verify));
    for _ in 0..5 {
        let peer = desk.connect("/?token=garbage");
        assert_eq!(desk.status(peer), "401");
    }
    assert_eq!(desk.snapshot().rejected_guessing, 0);
}

#[test]
fn what_the_host_says_comes_before_what_the_token_says() {
    let mut desk = Desk::plain();
    let peer = desk.connect("/own?token=ada:60:1");
    assert_eq!(desk.told(), ["ada asks", "own opened"]);
    desk.sim.run_ms(120_000);
    assert!(desk.heard(peer).is_empty());
}

#[test]
fn what_the_token_allows_is_done_and_all_else_is_the_hosts_to_decide() {
    let mut desk = Desk::plain();
    let ada = desk.connect("/?token=ada:-:1");
    let bob = desk.connect("/?token=bob:-:2");
    for room in ["open:1", "read", "asked", "closed", "later"] {
        desk.say(ada, &format!("join {room}"));
    }
    let wishes = |told: Vec<String>| -> Vec<String> {
        told.into_iter()
            .filter(|line| line.contains("wishes"))
            .collect()
    };
    let asked = ["asked", "closed", "later"].map(|room| format!("ada wishes to join {room}"));
    assert_eq!(wishes(desk.told()), asked);
    let handle = desk.sim.handle().clone();
    let members = |room| handle.room(room).unwrap().members();
    assert_eq!(["open:1", "read", "asked"].map(members), [1, 1, 1]);
    assert_eq!(["closed", "later"].map(members), [0, 0]);
    let wish = desk.book.lock().unwrap().wishes.pop().unwrap();
    assert!(wish.allow());
    assert_eq!(members("later"), 1);
    desk.say(bob, "publish open:1");
    desk.say(bob, "publish read");
    assert_eq!(wishes(desk.told()), ["bob wishes to publish read"]);
    assert_eq!(desk.heard(ada), ["news"]);
    let figures = desk.snapshot();
    assert_eq!(
        (figures.permissions_granted, figures.permissions_denied),
        (5, 2)
    );
}

#[test]
fn a_wish_that_is_allowed_too_late_is_denied() {
    let mut desk = Desk::new(Config::new().verdict_timeout_ms(1_000), Auth::new(verify));
    let ada = desk.connect("/?token=ada:-:1");
    desk.say(ada, "join later");
    desk.sim.run_ms(1_100);
    let wish = desk.book.lock().unwrap().wishes.pop().unwrap();
    assert!(!wish.allow());
    desk.sim.settle();
    assert_eq!(desk.sim.handle().room("later").unwrap().members(), 0);
    assert_eq!(desk.snapshot().permissions_denied, 1);
}

#[test]
fn a_wish_of_one_who_has_gone_comes_to_nothing() {
    let mut desk = Desk::plain();
    let ada = desk.connect("/?token=ada:-:1");
    desk.say(ada, "join later");
    desk.sim.reset(ada);
    desk.sim.run_ms(100);
    let wish = desk.book.lock().unwrap().wishes.pop().unwrap();
    assert!(!wish.allow());
    desk.sim.settle();
    assert_eq!(desk.sim.handle().room("later").unwrap().members(), 0);
}
