// The peer on Bun: its server.publish is uWebSockets' core. Same wire contract as rooms.rs; over
// TLS with --cert FILE --key FILE.

const args = process.argv.slice(2);
const port = Number(args[args.indexOf("--port") + 1] ?? 0);
const file = (name) => args.includes(name) && Bun.file(args[args.indexOf(name) + 1]);
const [cert, key] = [file("--cert"), file("--key")];

const server = Bun.serve({
  hostname: "127.0.0.1",
  port,
  tls: cert ? { cert, key } : undefined,
  fetch(request, server) {
    const url = new URL(request.url);
    const [, kind, names] = url.pathname.split("/");
    if ((kind !== "room" && kind !== "rooms") || !names) {
      return new Response("no such room", { status: 404 });
    }
    const data = { rooms: names.split(","), skip: url.searchParams.get("skip") === "1" };
    if (!server.upgrade(request, { data })) {
      return new Response("a WebSocket upgrade is due", { status: 426 });
    }
  },
  websocket: {
    idleTimeout: 0,
    perMessageDeflate: false,
    maxPayloadLength: 1 << 20,
    backpressureLimit: 16 << 20,
    open(ws) {
      for (const room of ws.data.rooms) ws.subscribe(room);
    },
    message(ws, message) {
      // ws.publish leaves the sender out, server.publish does not.
      if (ws.data.skip) ws.publish(ws.data.rooms[0], message);
      else server.publish(ws.data.rooms[0], message);
    },
  },
});

console.log(`listening on 127.0.0.1:${server.port}`);
