//! The peer on tokio and tungstenite, written as one would write it well by hand: one thread, a
//! task and a queue per connection, payloads shared, one flush for all that a queue holds. Same
//! wire contract as rooms.rs. In come clients, out go their messages to their rooms.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Write;
use std::rc::Rc;

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{
    Callback, ErrorResponse, Request, Response,
};

type Rooms = Rc<RefCell<HashMap<String, Vec<(u64, UnboundedSender<Message>)>>>>;

/// How many queued messages one flush takes at most.
const BATCH: usize = 256;

fn port() -> u16 {
    let words: Vec<String> = std::env::args().collect();
    let value = words
        .windows(2)
        .find(|pair| pair[0] == "--port")
        .map(|pair| &pair[1]);
    value.and_then(|port| port.parse().ok()).unwrap_or(0)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port())).await?;
    println!("listening on {}", listener.local_addr()?);
    std::io::stdout().flush()?;
    let rooms = Rooms::default();
    let serve = async {
        for id in 0.. {
            if let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                tokio::task::spawn_local(connection(stream, id, rooms.clone()));
            }
        }
    };
    tokio::task::LocalSet::new().run_until(serve).await;
    Ok(())
}

/// Notes what the upgrade request asks for.
struct Ask<'a>(&'a mut String);

impl Callback for Ask<'_> {
    fn on_request(self, request: &Request, response: Response) -> Result<Response, ErrorResponse> {
        *self.0 = request.uri().to_string();
        Ok(response)
    }
}

async fn connection(stream: TcpStream, id: u64, rooms: Rooms) {
    let mut target = String::new();
    let Ok(mut socket) = accept_hdr_async(stream, Ask(&mut target)).await else {
        return;
    };
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let names = path
        .strip_prefix("/room/")
        .or_else(|| path.strip_prefix("/rooms/"));
    let Some(names) = names.filter(|names| !names.is_empty()) else {
        return;
    };
    let (queue, mut owed) = unbounded_channel();
    for name in names.split(',') {
        rooms
            .borrow_mut()
            .entry(name.to_owned())
            .or_default()
            .push((id, queue.clone()));
    }
    let first = names.split(',').next().unwrap_or_default();
    let except = (query == "skip=1").then_some(id);
    let publish = |message: Message| {
        for (member, queue) in rooms.borrow().get(first).into_iter().flatten() {
            if Some(*member) != except {
                let _ = queue.send(message.clone());
            }
        }
    };
    serve(&mut socket, &mut owed, publish).await;
    let mut rooms = rooms.borrow_mut();
    for name in names.split(',') {
        let Some(members) = rooms.get_mut(name) else {
            continue;
        };
        members.retain(|(member, _)| *member != id);
        if members.is_empty() {
            rooms.remove(name);
        }
    }
}

async fn serve(
    socket: &mut WebSocketStream<TcpStream>,
    owed: &mut UnboundedReceiver<Message>,
    publish: impl Fn(Message),
) {
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(message)) if message.is_text() || message.is_binary() => publish(message),
                Some(Ok(_)) => {}
                _ => return,
            },
            _ = owed.recv_many(&mut batch, BATCH) => {
                for message in batch.drain(..) {
                    if socket.feed(message).await.is_err() {
                        return;
                    }
                }
                if socket.flush().await.is_err() {
                    return;
                }
            }
        }
    }
}
