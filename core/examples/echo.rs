//! Sends every message back to who sent it: the server of the WebSocket conformance suite.
//!
//! Messages may have 16 MiB and 65,536 fragments and an empty last one; nothing times out within
//! 100 s. Whatever gets smaller by it is compressed for peers that offer that.
//!
//! Run it: `cargo run --release --example echo -- --port 9001`

use roomcast::{Config, Connection, Engine, Handler, Message, Origins};

struct Echo;

impl Handler for Echo {
    fn message(&self, connection: Connection<'_>, message: Message<'_>) {
        if let Err(refused) = connection.send(message) {
            let _ = connection.close(1013, &refused.to_string());
        }
    }
}

const MIB: usize = 1024 * 1024;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().skip_while(|arg| arg != "--port").nth(1);
    let config = Config::new()
        .listen(format!("127.0.0.1:{}", port.as_deref().unwrap_or("9001")))
        .shards(1)
        .origins(Origins::Any)
        .message_bytes_max(16 * MIB)
        .message_fragments_max(65_537)
        .publication_bytes_max(16 * MIB)
        .tape_bytes_max(64 * MIB)
        .outbox_bytes_max(64 * MIB)
        .outbox_high_bytes(32 * MIB)
        .deflate_level(1)
        .deflate_bytes_min(0)
        .ping_interval_ms(120_000);
    let engine = Engine::start(config, Echo)?;
    println!("listening on {}", engine.addresses()[0]);
    loop {
        std::thread::park();
    }
}
