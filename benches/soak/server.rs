//! The server's process: two engines, one of each policy, publishers at the rate that the other
//! process asks for, and a thread that asks for figures. Orders come by stdin, reports go to
//! stdout, a line each.

use std::error::Error;
use std::io::BufRead;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use roomcast::{CommandError, Config, Engine, Handle, SlowPolicy, Snapshot};

use crate::check::THREADS;
use crate::hall::{Door, Hall, fault};
use crate::plan::{self, Dice};
use crate::{figures, heap};

/// Publications a second to each of the rooms of slow peers, and their bytes.
const WIDE_RATE: f64 = 40.0;
const WIDE_BYTES: usize = 8 * 1024;

struct Site {
    engine: Engine,
    hall: Arc<Hall>,
}

struct Orders {
    /// Publications a second of each thread.
    rate: AtomicU64,
    paused: AtomicBool,
}

fn config(policy: SlowPolicy) -> Config {
    Config::new()
        .listen("127.0.0.1:0")
        .shards(2)
        .slow_policy(policy)
        .metrics_path(Some("/metrics".into()))
        .tape_bytes_max(512 * 1024)
        .publication_bytes_max(64 * 1024)
        .room_ahead_bytes_max(256 * 1024)
        .handshake_timeout_ms(5_000)
        .ping_interval_ms(5_000)
}

pub fn serve() -> Result<(), Box<dyn Error>> {
    let me = std::process::id();
    let bare = figures::descriptors_and_threads(me);
    let mut sites = Vec::new();
    for policy in [SlowPolicy::Disconnect, SlowPolicy::Skip] {
        let hall = Hall::new();
        let engine = Engine::start(config(policy), Door(hall.clone()))?;
        hall.open(&engine)?;
        sites.push(Site { engine, hall });
    }
    let ports = sites
        .iter()
        .map(|site| site.engine.addresses()[0].port().to_string());
    println!("listening {}", ports.collect::<Vec<_>>().join(" "));
    let sites = Arc::new(sites);
    let empty = figures::descriptors_and_threads(me);
    let heap_empty = heap::live_bytes();
    let orders = Arc::new(Orders {
        rate: AtomicU64::new(100),
        paused: AtomicBool::new(false),
    });
    let mut threads = Some(start_threads(&sites, &orders));
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("rate", rate) => orders.rate.store(rate.parse()?, Relaxed),
            ("counts", _) => println!("counts {}", counts(&sites)),
            ("pause", _) => {
                orders.paused.store(true, Relaxed);
                for thread in threads.take().into_iter().flatten() {
                    thread.join().map_err(|_| "a thread panicked")?;
                }
                println!("paused");
            }
            ("rest", _) => {
                println!("gauges {}", rest(&sites));
                let (descriptors, threads) = figures::descriptors_and_threads(me);
                println!("heap {heap_empty} {}", heap::live_bytes());
                println!("empty {} {} {descriptors} {threads}", empty.0, empty.1);
            }
            _ => break,
        }
    }
    for site in sites.iter() {
        let began = Instant::now();
        let report = site.engine.stop();
        println!("stopped {} {}", began.elapsed().as_millis(), report.cut);
    }
    drop(sites);
    let (descriptors, threads) = figures::descriptors_and_threads(me);
    println!("bare {} {} {descriptors} {threads}", bare.0, bare.1);
    Ok(())
}

fn start_threads(sites: &Arc<Vec<Site>>, orders: &Arc<Orders>) -> Vec<JoinHandle<()>> {
    let mut threads = Vec::new();
    for by in 0..THREADS {
        let (sites, orders) = (sites.clone(), orders.clone());
        threads.push(std::thread::spawn(move || publish(&sites, &orders, by)));
    }
    let (sites, orders) = (sites.clone(), orders.clone());
    threads.push(std::thread::spawn(move || ask(&sites, &orders)));
    threads
}

/// Publications, and from the first thread all else that the host does by itself.
fn publish(sites: &[Site], orders: &Orders, by: usize) {
    let mut dice = Dice::new(by as u64 + 1);
    let mut nth = 0;
    let (mut due, mut wide, mut all) = (0.0, 0.0, 0.0);
    let mut last = Instant::now();
    while !orders.paused.load(Relaxed) {
        std::thread::sleep(Duration::from_millis(1));
        // After a long pause of the machine it does not catch up all at once.
        let passed = last.elapsed().as_secs_f64().min(0.05);
        last = Instant::now();
        due += passed * orders.rate.load(Relaxed) as f64;
        let site = &sites[dice.below(sites.len())];
        // Now and then a batch, as hosts have them that work off events.
        let cork = dice.percent(20).then(|| site.engine.cork());
        while due >= 1.0 {
            due -= 1.0;
            nth += 1;
            let rooms = rooms(&mut dice);
            let size = if dice.percent(1) {
                4096
            } else {
                32 + dice.below(480)
            };
            site.hall.publish(&rooms, by as u8, nth, size);
        }
        drop(cork);
        if by == 0 {
            continue;
        }
        wide += passed * WIDE_RATE;
        all += passed;
        for site in sites {
            if dice.percent(20) {
                site.hall.mail(&mut dice);
            }
            for room in plan::WIDE.filter(|_| wide >= 1.0) {
                nth += 1;
                site.hall.publish(&[room], by as u8, nth, WIDE_BYTES);
            }
            if all >= 1.0 {
                site.hall.all();
            }
        }
        wide -= f64::from(u8::from(wide >= 1.0));
        all -= f64::from(u8::from(all >= 1.0));
    }
}

/// One room, or in a tenth of all cases up to three.
fn rooms(dice: &mut Dice) -> Vec<u16> {
    let first = dice.room_to_publish();
    if !plan::has_unions(first) || !dice.percent(10) {
        return vec![first];
    }
    let others = [dice.room_to_publish(), dice.room_to_publish()];
    let mut rooms = vec![first];
    rooms.extend(others.into_iter().filter(|&room| plan::has_unions(room)));
    rooms.sort_unstable();
    rooms.dedup();
    rooms
}

/// Asks for figures and lists all the time, and holds them against each other.
fn ask(sites: &[Site], orders: &Orders) {
    let mut dice = Dice::new(99);
    let mut before: Vec<Snapshot> = sites.iter().map(|site| site.engine.snapshot()).collect();
    while !orders.paused.load(Relaxed) {
        std::thread::sleep(Duration::from_millis(100));
        for (site, before) in sites.iter().zip(&mut before) {
            let now = site.engine.snapshot();
            if let Err(error) = compare(site, before, &now, &mut dice) {
                fault(&format!("a question: {error}"));
            }
            *before = now;
        }
    }
}

fn compare(
    site: &Site,
    before: &Snapshot,
    now: &Snapshot,
    dice: &mut Dice,
) -> Result<(), Box<dyn Error>> {
    let grown = |get: fn(&Snapshot) -> u64| get(now) >= get(before);
    if !grown(|s| s.deliveries) || !grown(|s| s.accepted) || !grown(|s| s.publish_to_flush.count())
    {
        return Err("a counter has fallen".into());
    }
    let open = site.engine.connections()?;
    if open.len() as u64 > site.engine.snapshot().accepted {
        return Err("more are open than ever came".into());
    }
    let room = format!("r{}", dice.room_to_join());
    let members = site.engine.members(&room)?;
    let distinct: std::collections::BTreeSet<_> = members.iter().collect();
    if distinct.len() < members.len() {
        return Err(format!("{room} lists a member twice").into());
    }
    if !site.engine.rooms().iter().any(|(name, _)| name == "r0") {
        return Err("a held room is not listed".into());
    }
    let Some(somebody) = site.hall.somebody(dice) else {
        return Ok(());
    };
    match site.engine.rooms_of(somebody) {
        Ok(_) | Err(CommandError::Gone) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn counts(sites: &[Site]) -> String {
    let mut all = std::collections::BTreeMap::<&str, u64>::new();
    for site in sites {
        let counts = &site.hall.counts;
        let now = site.engine.snapshot();
        let ours = [
            ("published", &counts.published),
            ("unions", &counts.unions),
            ("relayed", &counts.relayed),
            ("mail", &counts.mail),
            ("refused", &counts.refused),
            ("told_too_slow", &counts.too_slow),
            ("lagged", &counts.lagged),
            ("high", &counts.high),
            ("joins", &counts.joins),
            ("leaves", &counts.leaves),
            ("lives", &counts.lives),
        ];
        for (name, count) in ours {
            *all.entry(name).or_default() += count.load(Relaxed);
        }
        *all.entry("deliveries").or_default() += now.deliveries;
        *all.entry("writes").or_default() += now.writes;
        *all.entry("accepted").or_default() += now.accepted;
        for (reason, count) in now.closed {
            *all.entry(reason).or_default() += count;
        }
    }
    all.insert("heap", heap::live_bytes());
    let all = all
        .into_iter()
        .map(|(name, count)| format!("{name}={count}"));
    all.collect::<Vec<_>>().join(" ")
}

/// Waits until nothing is left of anybody, for five seconds at most. The gauges of both engines.
fn rest(sites: &[Site]) -> String {
    for site in sites {
        site.hall.let_go();
    }
    let gauges = |handle: &Handle| {
        let now = handle.snapshot();
        [
            now.connections,
            now.rooms,
            now.tape_bytes,
            now.outbox_bytes,
            now.inbox_bytes,
        ]
    };
    let began = Instant::now();
    loop {
        let mut sum = [0; 5];
        for site in sites {
            for (sum, gauge) in sum.iter_mut().zip(gauges(&site.engine)) {
                *sum += gauge;
            }
        }
        if sum == [0; 5] || began.elapsed() > Duration::from_secs(5) {
            return sum.map(|gauge| gauge.to_string()).join(" ");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
