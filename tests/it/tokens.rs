//! Tokens over real sockets: guessers, hosts that decide later on another thread, hosts with an
//! HTTP server of their own.
//!
//! In: peers with tokens of the test's own kind, `USER:ID`. Out: statuses, close codes, figures.

use std::net::{TcpListener, TcpStream};
use std::thread;

use roomcast::{
    Accept, AdoptError, Auth, Claims, CloseReason, Config, Engine, Event, Grants, Join, Revoke,
    TokenError, Verb,
};

use crate::client::{Client, Response, Wire, upgrade};
use crate::house::{config, open, until};

fn verify(token: &str, now_s: u64) -> Result<Claims, TokenError> {
    let (user, id) = token.split_once(':').ok_or(TokenError::Invalid)?;
    let mut claims = Claims::new();
    claims.user = Some(user.into());
    claims.token_id = Some(id.into());
    claims.issued_at = Some(now_s);
    claims.grants = Grants::new().allow("free", &[Verb::Join, Verb::Publish]);
    Ok(claims)
}

fn guarded() -> Config {
    config().auth(Auth::new(verify))
}

fn ask(engine: &Engine, path: &str) -> Result<Client, Response> {
    Client::ask(engine.addresses()[0], path, &[]).map(|(client, _)| client)
}

#[test]
fn guessing_is_answered_with_429_unread_and_hurts_nobody_who_is_in() {
    let house = open(guarded().shards(2).token_failures_max(20));
    let mut member = ask(&house.engine, "/r?token=ada:1").unwrap();
    member.id();
    let guess = |n: usize| {
        ask(&house.engine, &format!("/r?token=guess{n}"))
            .err()
            .unwrap()
            .status
    };
    let answers: Vec<u16> = (0..60).map(guess).collect();
    let of = |status| answers.iter().filter(|s| **s == status).count();
    // A minute may end meanwhile, and then twenty more are looked at.
    assert!(
        of(429) >= 20 && of(401) >= 20 && of(401) + of(429) == 60,
        "{answers:?}"
    );
    let figures = house.engine.snapshot();
    assert_eq!(figures.tokens_refused, of(401) as u64);
    assert_eq!(figures.rejected_guessing, of(429) as u64);
    house.engine.publish("r", "still here").unwrap();
    assert_eq!(member.text(), "still here");
}

#[test]
fn a_401_says_how_to_come_in_and_not_what_is_wrong_with_the_signature() {
    let house = open(guarded());
    let refused = ask(&house.engine, "/").err().unwrap();
    assert_eq!(
        (refused.status, refused.body.as_str()),
        (401, "a token is needed\n")
    );
    assert!(
        refused.head.contains("WWW-Authenticate: Bearer\r\n"),
        "{}",
        refused.head
    );
    let refused = ask(&house.engine, "/?token=x").err().unwrap();
    assert_eq!(
        (refused.status, refused.body.as_str()),
        (401, "the token is not valid\n")
    );
}

#[test]
fn a_host_decides_on_wishes_on_another_thread() {
    let (engine, events) = Engine::start_with_events(guarded().shards(2)).unwrap();
    let handle = engine.handle();
    let decider = thread::spawn(move || {
        let mut wishes = Vec::new();
        while let Some(event) = events.recv() {
            match event {
                Event::Connecting { pending, .. } => pending.accept(Accept::new()),
                Event::Message { peer, data, .. } => {
                    let room = std::str::from_utf8(&data).unwrap();
                    handle.request_join(peer.id(), room, Join::new()).unwrap();
                }
                Event::Permission { peer, wish } => {
                    assert!(!peer.may(wish.verb(), wish.room()));
                    wishes.push(wish.room().to_owned());
                    match wish.room() {
                        "dear" => assert!(wish.allow()),
                        _ => drop(wish),
                    }
                }
                _ => {}
            }
        }
        wishes
    });
    let mut client = ask(&engine, "/?token=ada:1").unwrap();
    for room in ["free", "dear", "shut"] {
        client.say(room);
    }
    until("both to be in", || {
        engine.count("free") + engine.count("dear") == 2
    });
    until("the last to be denied", || {
        engine.snapshot().permissions_denied == 1
    });
    assert_eq!(engine.count("shut"), 0);
    engine
        .publish_union(&["free", "dear", "shut"], "hello")
        .unwrap();
    assert_eq!(client.text(), "hello");
    drop(client);
    engine.stop();
    assert_eq!(decider.join().unwrap(), ["dear", "shut"]);
}

#[test]
fn a_revoked_user_goes_from_all_shards_while_it_is_published_to() {
    let house = open(guarded().shards(3));
    let enter = |token: &str| ask(&house.engine, &format!("/r?token={token}")).unwrap();
    let ada: Vec<Client> = (0..6).map(|n| enter(&format!("ada:{n}"))).collect();
    let mut bob = enter("bob:1");
    bob.id();
    let publisher = house.engine.handle();
    let publishing = thread::spawn(move || {
        (0..5_000)
            .filter(|n| publisher.publish("r", format!("{n}").as_str()).is_ok())
            .count()
    });
    house.engine.revoke(Revoke::User("ada"));
    for client in ada {
        let (code, text) = { client }.closed();
        assert_eq!((code, text.as_str()), (4004, "revoked"));
    }
    let published = publishing.join().unwrap();
    house.engine.publish("r", "end").unwrap();
    assert_eq!(bob.texts_before("end").len(), published);
    let closed = house.log.all();
    let revoked = closed
        .iter()
        .filter(|told| matches!(told, crate::house::Told::Closed(_, CloseReason::Revoked)));
    assert_eq!(revoked.count(), 6);
    assert_eq!(
        ask(&house.engine, "/r?token=ada:9").err().unwrap().status,
        401
    );
}

#[test]
fn a_host_with_its_own_server_has_tokens_checked_too() {
    let house = open(guarded());
    let parts = |uri: &str| {
        let request = http::Request::get(uri).header("host", "it.example");
        let request = request.header("connection", "upgrade");
        let request = request.header("upgrade", "websocket");
        let request = request.header("sec-websocket-version", "13");
        let request = request.header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        request.body(()).unwrap().into_parts().0
    };
    let refused = house.engine.upgrade(&parts("/?token=no")).err().unwrap();
    assert!(
        matches!(refused, AdoptError::NotUpgrade { status: 401, .. }),
        "{refused:?}"
    );
    let upgraded = house.engine.upgrade(&parts("/?token=ada:1")).unwrap();
    let claims = upgraded.request().claims().unwrap();
    assert_eq!(claims.user.as_deref(), Some("ada"));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let upgraded = upgraded.accept(Accept::new().room("r"));
    upgraded.adopt(listener.accept().unwrap().0, b"").unwrap();
    let mut client = Client::on(Wire::Tcp(ours));
    client.id();
    house.engine.send_user("ada", "to ada").unwrap();
    assert_eq!(client.text(), "to ada");
    house.engine.revoke(Revoke::Token("1"));
    assert_eq!(client.closed().0, 4004);
}

#[test]
fn other_keys_hold_for_new_connections_and_the_old_ones_stay() {
    let house = open(guarded());
    let mut old = ask(&house.engine, "/r?token=ada:1").unwrap();
    old.id();
    house
        .engine
        .reload_auth(|token: &str, now_s: u64| match token.strip_prefix("new-") {
            Some(token) => verify(token, now_s),
            None => Err(TokenError::Invalid),
        })
        .unwrap();
    assert_eq!(
        ask(&house.engine, "/r?token=ada:1").err().unwrap().status,
        401
    );
    assert!(ask(&house.engine, "/r?token=new-ada:2").is_ok());
    house.engine.publish("r", "both").unwrap();
    assert_eq!(old.text(), "both");
    let open = open(config());
    assert_eq!(open.engine.reload_auth(verify), Err(TokenError::NoAuth));
}

#[test]
fn what_checked_tokens_may_call_the_engine_when_it_is_let_go() {
    struct Calls(
        std::sync::mpsc::Sender<TokenError>,
        std::sync::OnceLock<roomcast::Handle>,
    );
    impl Drop for Calls {
        fn drop(&mut self) {
            let handle = self.1.get().unwrap();
            let outcome = handle.refresh(roomcast::ConnectionId::from_u64(1), "x");
            self.0.send(outcome.unwrap_err()).unwrap();
        }
    }
    let (sender, outcomes) = std::sync::mpsc::channel();
    let calls = Calls(sender, std::sync::OnceLock::new());
    let calls = std::sync::Arc::new(calls);
    let kept = calls.clone();
    let old = move |token: &str, now_s: u64| {
        assert!(kept.1.get().is_some());
        verify(token, now_s)
    };
    let engine = Engine::start(config().auth(Auth::new(old)), ()).unwrap();
    calls.1.set(engine.handle()).ok().unwrap();
    drop(calls);
    engine.reload_auth(verify).unwrap();
    assert_eq!(outcomes.recv().unwrap(), TokenError::Invalid);
}

#[test]
fn many_who_never_prove_themselves_are_bounded_and_gone_in_time() {
    let limits = config()
        .shards(2)
        .handshakes_max(100)
        .handshake_timeout_ms(300);
    let house = open(limits.auth(Auth::new(verify).message("token ")));
    let silent: Vec<Client> = (0..300)
        .map(|_| {
            let mut client = Client::bare(house.address());
            client.write(upgrade("/r", &[]).as_bytes());
            client
        })
        .collect();
    // All are answered in turn, as those before them give up their places.
    for client in silent {
        let mut client = client.upgraded().unwrap().0;
        assert_eq!(client.close_frame().0, 4401);
    }
    until("all to be gone", || {
        house.engine.snapshot().connections == 0
    });
    let figures = house.engine.snapshot();
    assert_eq!((figures.opened, figures.rejected_token), (0, 300));
    assert!(figures.accept_paused > 0);
    let mut honest = Client::open(house.address(), "/r");
    honest.say("token ada:1");
    honest.id();
}
