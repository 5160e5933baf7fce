// The peer on npm ws, the usual choice on Node. Same wire contract as rooms.rs; over TLS with
// --cert FILE --key FILE.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { WebSocketServer } from "ws";

const args = process.argv.slice(2);
const port = Number(args[args.indexOf("--port") + 1] ?? 0);
const pem = (name) => args.includes(name) && readFileSync(args[args.indexOf(name) + 1]);
const [cert, key] = [pem("--cert"), pem("--key")];

const members = new Map();

function leave(room, ws) {
  const set = members.get(room);
  set?.delete(ws);
  if (set?.size === 0) members.delete(room);
}

const http = cert ? createSecureServer({ cert, key }) : createServer();
const server = new WebSocketServer({ server: http, perMessageDeflate: false });

server.on("connection", (ws, request) => {
  const url = new URL(request.url, "http://localhost");
  const [, kind, names] = url.pathname.split("/");
  if ((kind !== "room" && kind !== "rooms") || !names) return ws.close(1008);
  const rooms = names.split(",");
  const skip = url.searchParams.get("skip") === "1";
  for (const room of rooms) {
    if (!members.has(room)) members.set(room, new Set());
    members.get(room).add(ws);
  }
  ws.on("message", (data, binary) => {
    for (const member of members.get(rooms[0]) ?? []) {
      if (!skip || member !== ws) member.send(data, { binary });
    }
  });
  ws.on("error", () => {});
  ws.on("close", () => rooms.forEach((room) => leave(room, ws)));
});

http.listen({ port, host: "127.0.0.1", backlog: 4096 }, () => {
  console.log(`listening on 127.0.0.1:${http.address().port}`);
});
