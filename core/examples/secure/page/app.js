// The page of the secure board: signs in, renews its token while it lasts, joins one room.

const CLOSED = {
  1001: 'the board is restarting',
  4003: 'your time is over: sign in again',
  4004: 'you are signed out',
  4401: 'the board does not believe this token',
};
const NOTES_MAX = 50;

const part = (name) => document.querySelector(`[data-testid=${name}]`);
let socket;
let user;
let room;
let renewed = 0;
/** Who is in the room: user names by the ids of their connections. */
let here = new Map();
/** Notices that came after the list was asked for, and before it came. */
let wanted;

/** A new token from the application. */
async function fetchToken() {
  const answer = await fetch(`/login?user=${encodeURIComponent(user)}`, { cache: 'no-store' });
  if (!answer.ok) throw new Error(await answer.text());
  return (await answer.json()).token;
}

const say = (line) => socket.send(JSON.stringify(line));
const setState = (text) => { part('state').textContent = text; };

function show(isIn) {
  part('login').hidden = isIn;
  part('board').hidden = !isIn;
  part('side').hidden = !isIn;
}

async function signIn() {
  const token = await fetchToken();
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
  socket = new WebSocket(`${scheme}://${location.host}/ws`);
  // In the first message, since addresses end in the logs of proxies.
  socket.addEventListener('open', () => socket.send(`token ${token}`));
  socket.addEventListener('message', ({ data }) => {
    const [[kind, told]] = Object.entries(JSON.parse(data));
    on[kind]?.(told);
  });
  socket.addEventListener('close', ({ code, reason }) => {
    setState(CLOSED[code] ?? `closed: ${reason || 'the connection was lost'} (${code})`);
    show(false);
  });
}

/** What the board says. */
const on = {
  welcome(me) {
    part('user').textContent = me.user;
    part('ip').textContent = me.ip ?? 'not known';
    const rooms = ['board:lobby', `board:${me.user}`, 'board:news', 'board:cellar'];
    part('room').replaceChildren(...rooms.map((name) => new Option(name.slice(6), name)));
    setState('connected');
    show(true);
    enter(rooms[0]);
  },

  /** The connection stays: it only gets a new token. */
  async expiring() {
    try {
      socket.send(`token ${await fetchToken()}`);
      renewed += 1;
      part('renewed').textContent = renewed;
    } catch (error) {
      setState(`no new token: ${error.message}`);
    }
  },

  denied({ verb, room: where }) {
    const name = where.slice(6);
    part('denied').textContent = `you may not ${verb} ${verb === 'join' ? '' : 'in '}${name}`;
  },

  note({ room: where, from, text }) {
    if (where !== room) return;
    const note = document.createElement('li');
    const by = document.createElement('b');
    by.textContent = from;
    // As text: what others write is never markup.
    note.append(by, ` ${text}`);
    const notes = part('notes');
    notes.append(note);
    if (notes.children.length > NOTES_MAX) notes.firstChild.remove();
    notes.scrollTop = notes.scrollHeight;
  },

  /** Who came and went. The list is asked for when it does not fit what the board counts. */
  presence(notice) {
    if (notice.room !== room) return;
    for (const { id } of notice.gone) here.delete(id);
    for (const { id, user: name } of notice.came) here.set(id, name);
    if (here.size !== notice.members && wanted !== room) {
      wanted = room;
      say({ who: room });
    }
    showHere();
  },

  here({ room: where, present }) {
    wanted = undefined;
    if (where !== room) return;
    here = new Map(present.map(({ id, user: name }) => [id, name]));
    showHere();
  },
};

function showHere() {
  const names = [...new Set(here.values())].sort();
  part('count').textContent = names.length;
  part('here').replaceChildren(...names.map((name) => {
    const one = document.createElement('li');
    one.textContent = name;
    return one;
  }));
}

function enter(name) {
  if (room && room !== name) say({ leave: room });
  room = name;
  here = new Map();
  wanted = undefined;
  part('denied').textContent = '';
  part('notes').replaceChildren();
  showHere();
  say({ join: name });
}

part('login').addEventListener('submit', (event) => {
  event.preventDefault();
  user = new FormData(event.target).get('user');
  room = undefined;
  setState('connecting');
  signIn().catch((error) => setState(error.message));
});

part('post').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = new FormData(event.target).get('text');
  say({ post: { room, text } });
  event.target.reset();
});

part('room').addEventListener('change', ({ target }) => enter(target.value));
part('logout').addEventListener('click', () => say('logout'));
