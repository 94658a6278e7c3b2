// Real clients of sub-protocols: node subprotocols-clients.mjs PROTOCOL PORT [forbidden]. Each does what it may and prints `fine`; with
// `forbidden` it first does what it must not, and then what it may on the same connection. Socket.IO goes by WebSocket, by long polling
// alone (`socket.io-polling`) or from the one to the other (`socket.io-upgrade`), and does what it must not before and after that.
import { createRequire } from 'node:module';
import { strict as assert } from 'node:assert';
const require = createRequire(process.env.NODE_MODULES + '/');
const [protocol, port, forbidden] = process.argv.slice(2);
const soon = (what, promise) =>
  Promise.race([promise, new Promise((_, fail) => setTimeout(() => fail(new Error(`${what}: nothing came`)), 10000))]);
const once = (emitter, event) => new Promise((done) => emitter.once(event, done));

const clients = {
  'socket.io': () => socketIo(['websocket'], 'websocket'),
  'socket.io-polling': () => socketIo(['polling'], 'polling'),
  'socket.io-upgrade': () => socketIo(['polling', 'websocket'], 'websocket'),
  async graphql() {
    const { createClient } = require('graphql-ws');
    const { WebSocket } = require('ws');
    const client = createClient({ url: `ws://127.0.0.1:${port}/graphql`, webSocketImpl: WebSocket, retryAttempts: 0 });
    const all = async (query) => {
      const out = [];
      for await (const result of client.iterate({ query })) out.push(result);
      return out;
    };
    const plain = (value) => JSON.parse(JSON.stringify(value));
    // What holds the connection open while the forbidden one is refused.
    const ticks = soon('ticks', all('subscription Ticks { ticks }'));
    if (forbidden) {
      for (const query of ['mutation { wipe }', '{ __schema { types { name } } }', deep(20)]) {
        client.subscribe({ query }, { next() { console.log(`answered ${query}`); }, error() {}, complete() {} });
      }
    }
    assert.deepEqual(plain(await ticks), [1, 2, 3].map((ticks) => ({ data: { ticks } })));
    assert.deepEqual(plain(await soon('hello', all('query Hello { hello }'))), [{ data: { hello: 'world' } }]);
    client.dispose();
  },
  async stomp() {
    const { Client } = require('@stomp/stompjs');
    const { WebSocket } = require('ws');
    const client = new Client({
      webSocketFactory: () => new WebSocket(`ws://127.0.0.1:${port}/stomp`, ['v12.stomp', 'v11.stomp', 'v10.stomp']),
      reconnectDelay: 0,
    });
    const connected = new Promise((done) => (client.onConnect = done));
    client.activate();
    await soon('connect', connected);
    if (forbidden) {
      client.subscribe('/secret/plans', () => console.log('heard a secret'));
      client.subscribe('/**', () => console.log('heard everything'));
      client.publish({ destination: '/secret/plans', body: 'mine' });
    }
    const heard = new Promise((done) => client.subscribe('/room/1', (message) => done(message.body)));
    client.publish({ destination: '/ask/1', body: JSON.stringify({ text: 'hello' }) });
    assert.equal(await soon('message', heard), '{"text":"hello"}');
    await client.deactivate();
  },
  async 'json-rpc'() {
    const { Client } = require('rpc-websockets');
    const client = new Client(`ws://127.0.0.1:${port}/rpc`, { reconnect: false });
    await soon('open', once(client, 'open'));
    if (forbidden) client.call('wipe', []).catch(() => {});
    assert.equal(await soon('sum', client.call('sum', [1, 2, 3])), 6);
    client.close();
  },
  async mqtt() {
    const mqtt = require('mqtt');
    for (const protocolVersion of [4, 5]) {
      const connect = async () => {
        const client = mqtt.connect(`ws://127.0.0.1:${port}/mqtt`, { protocolVersion, reconnectPeriod: 0 });
        await soon('connect', once(client, 'connect'));
        return client;
      };
      // This client cuts its packets into several messages, of which none can be left out: the connection ends instead.
      const attempts = [(c) => c.subscribe('#', () => {}), (c) => c.publish('secret/plans', 'mine')];
      for (const attempt of forbidden ? attempts : []) {
        const client = await connect();
        attempt(client);
        await soon('end', once(client, 'close'));
      }
      const client = await connect();
      const topics = [];
      client.on('message', (topic) => topics.push(topic));
      await soon('subscribe', client.subscribeAsync('room/+', { qos: 1 }));
      const heard = once(client, 'message');
      await soon('publish', client.publishAsync('room/1', JSON.stringify({ text: 'hello' }), { qos: 1 }));
      await soon('message', heard);
      await new Promise((done) => setTimeout(done, 200));
      assert.deepEqual([...new Set(topics)], ['room/1']);
      await client.endAsync();
    }
  },
};

/** Talks by these transports, of which the last one must be this. */
async function socketIo(transports, last) {
  const { io } = require('socket.io-client');
  const socket = io(`http://127.0.0.1:${port}`, { transports, reconnection: false });
  const upgraded = transports.length > 1 ? once(socket.io.engine, 'upgrade') : undefined;
  await soon('connect', once(socket, 'connect'));
  const session = socket.id;
  const talk = async () => {
    if (forbidden) socket.emit('wipe', 'everything');
    assert.equal(await soon('say', socket.emitWithAck('say', 'hello')), 'heard hello');
    assert.equal(await soon('picture', socket.emitWithAck('picture', Buffer.alloc(1000, 7))), 1000);
  };
  if (forbidden) io(`http://127.0.0.1:${port}/admin`, { transports, reconnection: false });
  await talk();
  await soon('upgrade', upgraded);
  await talk();
  assert.equal(socket.io.engine.transport.name, last);
  assert.equal(socket.id, session);
  assert.ok(socket.connected);
  socket.disconnect();
}

/** A query that goes deeper than anybody needs. */
function deep(levels) {
  return `{ person ${'{ friend '.repeat(levels)} { name } ${'}'.repeat(levels)} }`;
}

await clients[protocol]();
console.log('fine');
process.exit(0);
