// The connection to the host: lines in, lines out, and a new one when it breaks.
// A text message is one or more lines; the page acts on a message as a whole.

const WAIT_MS_MIN = 400;
const WAIT_MS_MAX = 8_000;

/** `address()` names the WebSocket; `onMessage(lines)`, `onLive(isLive, why)` are told. */
export function openWire({ address, onMessage, onLive }) {
  let socket;
  let waitMs = WAIT_MS_MIN;

  function open() {
    socket = new WebSocket(address());
    socket.onopen = () => onLive(true);
    socket.onmessage = ({ data }) => {
      waitMs = WAIT_MS_MIN;
      if (typeof data === 'string') onMessage(data.split('\n'));
    };
    socket.onclose = ({ reason }) => {
      onLive(false, reason);
      setTimeout(open, waitMs * (0.7 + 0.6 * Math.random()));
      waitMs = Math.min(waitMs * 2, WAIT_MS_MAX);
    };
  }

  open();
  return {
    /** Sends a line; a line that finds no connection is lost, as the next state will tell. */
    send(...words) {
      if (socket.readyState === WebSocket.OPEN) socket.send(words.join(' '));
    },
  };
}

/** Calls `send` with the newest arguments, at most every `ms`; the last call is never lost. */
export function paced(ms, send) {
  let timer = null;
  let latest = null;
  const pass = () => {
    timer = null;
    if (!latest) return;
    send(...latest);
    latest = null;
    timer = setTimeout(pass, ms);
  };
  const call = (...words) => {
    latest = words;
    if (timer === null) pass();
  };
  call.flush = () => {
    clearTimeout(timer);
    pass();
  };
  return call;
}
