//! A board on the open internet: TLS, tokens, real addresses, and who is here.
//!
//! Whoever has a token comes in, does what the token allows, and is seen by the others. The board
//! is served at two doors of its own, and one for nginx (`secure/nginx.conf` is its other side):
//!
//! - `--port`: TLS, for everybody;
//! - `--proxied-port`: TLS behind a proxy that passes it through, with a PROXY header before it;
//! - `--unix`: plain HTTP for a proxy on this machine that ends TLS, with `X-Forwarded-For`.
//!
//! What peers say is in `secure/lines.rs`. `secure/login.rs` stands in for the login that your
//! application has; take everything else along.
//!
//! Run it with a certificate of your own, or one that only your browser believes:
//!
//! ```sh
//! openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
//!     -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem
//! BOARD_SECRET=$(openssl rand -hex 32) cargo run --release --features tls,jwt \
//!     --example secure -- --cert cert.pem --key key.pem
//! ```
//!
//! SIGHUP reads certificate and keys anew (`certbot renew --deploy-hook`), and no connection is
//! dropped; SIGTERM and SIGINT stop.

#[path = "secure/lines.rs"]
mod lines;
#[path = "secure/login.rs"]
mod login;
#[path = "secure/options.rs"]
mod options;

use std::error::Error;
use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::Arc;

use roomcast::{
    Accept, Auth, Config, Connection, Engine, Handler, Join, ListenOptions, Message, Page, Pending,
    Request, Revoke, RoomOptions, Verb, Wish,
};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use lines::Line;
use login::Login;
use options::Options;

const MESSAGE_BYTES_MAX: usize = 4 * 1024;
const MESSAGES_PER_SECOND: u32 = 20;
const CONNECTIONS_PER_ADDRESS: usize = 200;
const CONNECTIONS_PER_USER: usize = 20;
/// How often a board tells its members who came and went.
const PRESENCE_MS: u32 = 200;

struct Host;

/// What is kept with a connection.
struct Guest {
    ip: Option<IpAddr>,
}

impl Handler for Host {
    /// Its token is valid already: nobody else comes as far as this.
    fn connecting(&self, request: &Request, pending: Pending) {
        if request.path() != "/ws" {
            return pending.refuse(404, "the WebSocket is at /ws");
        }
        if request.claims().is_none_or(|claims| claims.user.is_none()) {
            return pending.refuse(403, "the token names no user");
        }
        let ip = request.peer_ip();
        pending.accept(Accept::new().data(Arc::new(Guest { ip })));
    }

    fn opened(&self, connection: Connection<'_>) {
        let ip = connection.data().and_then(|guest: &Guest| guest.ip);
        let _ = connection.send(&lines::welcome(connection.user(), ip));
    }

    fn message(&self, connection: Connection<'_>, message: Message<'_>) {
        let Some(line) = message.text().and_then(Line::parse) else {
            let _ = connection.close(1008, "this is no line of the board's");
            return;
        };
        match line {
            // What a peer wants is asked for: the engine looks into its token.
            Line::Join(room) => drop(connection.request_join(&room, Join::new())),
            Line::Leave(room) => drop(connection.leave(&room)),
            Line::Post { room, text } => {
                // Who says it is what the token says, never what the message says.
                let note = lines::note(connection.user(), &room, &text);
                let _ = connection.request_publish(&room, &note);
            }
            Line::Who(room) => match connection.may(Verb::Presence, &room) {
                true => {
                    let page = connection.handle().present(&room, None, 0);
                    let _ = connection.send(&lines::here(&room, &page));
                }
                false => drop(connection.send(&lines::denied(Verb::Presence, &room))),
            },
            // On all devices: what is open is closed, and no token that is out by now comes back.
            Line::Logout => {
                if let Some(user) = connection.user() {
                    connection.handle().revoke(Revoke::User(user));
                }
            }
        }
    }

    /// Its token does not allow it. A database might; here, nothing else does.
    fn permission(&self, connection: Connection<'_>, wish: Wish) {
        let _ = connection.send(&lines::denied(wish.verb(), wish.room()));
        wish.deny();
    }
}

/// What is served to a plain GET.
fn page(login: Option<&Login>, request: &Request) -> Option<Page> {
    Some(match request.path() {
        "/" => Page::html(include_str!("secure/page/index.html")),
        "/app.js" => Page::new(
            "text/javascript; charset=utf-8",
            include_str!("secure/page/app.js"),
        ),
        "/style.css" => Page::new(
            "text/css; charset=utf-8",
            include_str!("secure/page/style.css"),
        ),
        "/login" => login?.page(&request.query_value("user")?),
        _ => return None,
    })
}

fn config(options: &Options) -> Result<Config, Box<dyn Error>> {
    let login = options.login();
    // The first place with a token counts: programs send a header, a page of yours the cookie of
    // its session, and this page says `token ...` first. Later ones are renewals.
    let auth = Auth::new(options.keys()?)
        .header("authorization")
        .cookie("board_token")
        .message("token ")
        .notice(lines::EXPIRING);
    let mut config = Config::new()
        .tls(options.tls()?)
        .listen_with(
            format!("127.0.0.1:{}", options.port),
            ListenOptions::new().tls(true),
        )
        .auth(auth)
        // Only what stands in front of the engine. For a proxy on another machine it is the
        // address of that; `127.0.0.1` is no good where strangers have accounts on this one.
        .trusted_proxies(["unix", "127.0.0.1"])
        // Pages of others that open a WebSocket here would have the cookies of your users:
        // `origins` is left at its default, which is pages of this host and no others.
        .room_options(
            "board:",
            RoomOptions::new()
                .presence(true)
                .presence_interval_ms(PRESENCE_MS),
        )
        .message_bytes_max(MESSAGE_BYTES_MAX)
        .message_rate_max(MESSAGES_PER_SECOND)
        .address_connections_max(CONNECTIONS_PER_ADDRESS)
        .user_connections_max(CONNECTIONS_PER_USER)
        .log(|level, text| eprintln!("{level:?}: {text}"))
        .pages(move |request| page(login.as_ref(), request));
    if let Some(port) = options.proxied_port {
        let listener = ListenOptions::new().tls(true).proxy_protocol(true);
        config = config.listen_with(format!("127.0.0.1:{port}"), listener);
    }
    if let Some(path) = &options.unix {
        // For this user and its group, which is where nginx belongs.
        config = config.listen_unix_with(path, ListenOptions::new().unix_mode(0o660));
    }
    // `ROOMCAST_TOKEN_NOTICE_MS=60000` and the like.
    Ok(config.from_env()?)
}

/// What is served from now on is what the files say now.
fn reload(engine: &Engine, options: &Options) -> Result<(), Box<dyn Error>> {
    let (tls, keys) = (options.tls()?, options.keys()?);
    engine.reload_tls(&tls)?;
    engine.reload_auth(keys)?;
    Ok(())
}

fn run() -> Result<(), Box<dyn Error>> {
    let options = Options::parse(std::env::args().skip(1))?;
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    let engine = Engine::start(config(&options)?, Host)?;
    let mut addresses = engine.addresses().iter();
    if let Some(address) = addresses.next() {
        println!("roomcast secure: open https://{address}/");
    }
    if let Some(address) = addresses.next() {
        println!("TLS behind a PROXY header: {address}");
    }
    if let Some(path) = &options.unix {
        println!("HTTP from a proxy: unix:{}", path.display());
        println!("the stand-in for a login: unix:{}", path.display());
    }
    for signal in signals.forever() {
        if signal != SIGHUP {
            break;
        }
        match reload(&engine, &options) {
            Ok(()) => println!("certificate and keys are read anew"),
            Err(error) => eprintln!("secure: all stays as it was: {error}"),
        }
    }
    engine.stop();
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("secure: {error}");
            ExitCode::FAILURE
        }
    }
}
