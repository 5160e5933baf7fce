//! Wake-ups that a thread holds back: what it asks arrives together, and nothing is lost.

use std::thread;
use std::time::Duration;

use crate::house::{config, open};

#[test]
fn publications_under_a_cork_arrive_when_it_is_dropped() {
    let house = open(config().shards(1));
    let (mut client, _) = house.client("r");
    let before = house.engine.snapshot().writes;
    let cork = house.engine.cork();
    for n in 0..10 {
        house.engine.publish("r", &n.to_string()).unwrap();
    }
    assert_eq!(client.next_in(Duration::from_millis(50)), None);
    drop(cork);
    for n in 0..10 {
        assert_eq!(client.text(), n.to_string());
    }
    assert_eq!(house.engine.snapshot().writes - before, 1, "in one write");
}

#[test]
fn a_cork_is_its_threads_and_its_engines_own() {
    let (house, other) = (open(config().shards(1)), open(config().shards(1)));
    let (mut client, _) = house.client("r");
    let (mut stranger, _) = other.client("r");
    let outer = house.engine.cork();
    let inner = house.engine.cork();
    other.engine.publish("r", "free").unwrap();
    assert_eq!(stranger.text(), "free");
    thread::scope(|scope| {
        scope.spawn(|| house.engine.publish("r", "from a thread").unwrap());
    });
    assert_eq!(client.text(), "from a thread");
    drop(inner);
    house.engine.publish("r", "corked still").unwrap();
    assert_eq!(client.next_in(Duration::from_millis(50)), None);
    drop(outer);
    assert_eq!(client.text(), "corked still");
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
