//! Wake-ups that a thread holds back: what it asks arrives together, and nothing is lost.

use std::thread;
use std::time::{Duration, Instant};

use roomcast::Engine;

use crate::house::{config, open, until};

/// Has the shards of this engine doze from now on.
fn doze(engine: &Engine) {
    drop(engine.cork());
    // A turn, after which it sleeps shortly.
    engine.connections().unwrap();
}

#[test]
fn publications_under_a_cork_leave_together() {
    let house = open(config().shards(1));
    let (mut client, _) = house.client("r");
    // A doze may end in the middle of a batch, so not every batch leaves in one write.
    let together = (0..200).any(|_| {
        doze(&house.engine);
        let before = house.engine.snapshot().writes;
        let cork = house.engine.cork();
        for n in 0..10 {
            house.engine.publish("r", &n.to_string()).unwrap();
        }
        drop(cork);
        for n in 0..10 {
            assert_eq!(client.text(), n.to_string());
        }
        until("it to be counted", || {
            house.engine.snapshot().writes > before
        });
        house.engine.snapshot().writes - before == 1
    });
    assert!(together);
}

#[test]
fn nothing_waits_for_a_cork_that_stays() {
    let house = open(config().shards(2));
    let (mut client, _) = house.client("r");
    for rested in [true, false] {
        if !rested {
            doze(&house.engine);
        }
        let _cork = house.engine.cork();
        for n in 0..10 {
            house.engine.publish("r", &n.to_string()).unwrap();
            assert_eq!(client.text(), n.to_string());
        }
    }
}

#[test]
fn a_cork_of_long_ago_holds_nothing_up_for_good() {
    let house = open(config().shards(2));
    let (mut client, _) = house.client("r");
    let cork = house.engine.cork();
    // Beyond the time for which shards doze because of a cork.
    let began = Instant::now();
    let until = began + Duration::from_millis(200);
    for n in 0.. {
        assert_eq!(house.engine.connections().unwrap().len(), 1);
        house.engine.publish("r", &n.to_string()).unwrap();
        assert_eq!(client.text(), n.to_string());
        if Instant::now() > until {
            break;
        }
    }
    assert!(began.elapsed() < Duration::from_secs(5));
    drop(cork);
}

#[test]
fn corks_nest_and_are_one_engines_own() {
    let (house, other) = (open(config().shards(1)), open(config().shards(1)));
    let (mut client, _) = house.client("r");
    let (mut stranger, _) = other.client("r");
    let outer = house.engine.cork();
    let inner = other.engine.cork();
    house.engine.publish("r", "1").unwrap();
    other.engine.publish("r", "1").unwrap();
    drop(inner);
    house.engine.publish("r", "2").unwrap();
    drop(outer);
    other.engine.publish("r", "2").unwrap();
    for wanted in ["1", "2"] {
        assert_eq!(client.text(), wanted);
        assert_eq!(stranger.text(), wanted);
    }
}

#[test]
fn what_waits_for_a_shard_is_not_held_back() {
    let house = open(config().shards(2));
    let (mut client, id) = house.client("r");
    let cork = house.engine.cork();
    house.engine.publish("r", "before").unwrap();
    assert_eq!(house.engine.members("r").unwrap(), [id]);
    assert_eq!(client.text(), "before");
    let reader = thread::spawn(move || {
        let code = client.close_frame().0;
        client.close(code, "");
        client.end();
        code
    });
    assert_eq!(house.engine.stop().cut, 0);
    drop(cork);
    assert_eq!(reader.join().unwrap(), 1001);
}
