// Real servers of sub-protocols, each on a port of its own: Socket.IO, GraphQL over WebSocket, STOMP, JSON-RPC. Each has something that
// clients may do and something that they must not, and tells on standard output what reached it.
import { createRequire } from 'node:module';
import { createServer } from 'node:http';
const require = createRequire(process.env.NODE_MODULES + '/');
const reached = (what) => console.log(`reached ${what}`);
const listen = (server) => new Promise((done) => server.listen(0, '127.0.0.1', () => done(server.address().port)));

// Socket.IO: `say` is answered, `wipe` must not arrive; the namespace /admin neither.
const { Server } = require('socket.io');
const socketIo = createServer();
const io = new Server(socketIo);
io.on('connection', (socket) => {
  socket.on('say', (text, answer) => answer(`heard ${text}`));
  socket.on('picture', (bytes, answer) => answer(bytes.length));
  socket.on('wipe', () => reached(`wipe by ${socket.conn.transport.name}`));
});
io.of('/admin').on('connection', () => reached('/admin'));
const socketIoPort = await listen(socketIo);

// GraphQL: `hello` and `ticks` are allowed, `wipe` must not be executed.
const { GraphQLSchema, GraphQLObjectType, GraphQLString, GraphQLInt } = require('graphql');
const graphqlWs = require('graphql-ws/use/ws');
const { WebSocketServer } = require('ws');
const person = new GraphQLObjectType({
  name: 'Person',
  fields: () => ({ name: { type: GraphQLString, resolve: () => 'ann' }, friend: { type: person, resolve: () => ({}) } }),
});
const schema = new GraphQLSchema({
  query: new GraphQLObjectType({
    name: 'Query',
    fields: { hello: { type: GraphQLString, resolve: () => 'world' }, person: { type: person, resolve: () => ({}) } },
  }),
  mutation: new GraphQLObjectType({
    name: 'Mutation',
    fields: { wipe: { type: GraphQLString, resolve: () => (reached('mutation wipe'), 'gone') } },
  }),
  subscription: new GraphQLObjectType({
    name: 'Subscription',
    fields: {
      ticks: {
        type: GraphQLInt,
        subscribe: async function* () {
          for (let tick = 1; tick <= 3; tick++) yield { ticks: tick };
        },
      },
    },
  }),
});
const graphql = createServer();
graphqlWs.useServer({ schema }, new WebSocketServer({ server: graphql, path: '/graphql' }));
const graphqlPort = await listen(graphql);

// STOMP: what is sent to /ask/1 comes back to who listens to /room/1; /secret/… is not for clients. (This broker gives nobody what he sent
// himself.)
const StompServer = require('stomp-broker-js');
const stomp = createServer();
const broker = new StompServer({ server: stomp, path: '/stomp' });
broker.subscribe('/ask/1', (body) => broker.send('/room/1', {}, body));
broker.subscribe('/secret/plans', () => reached('/secret'));
broker.on('subscribe', ({ topic }) => /secret|\*\*/.test(topic) && topic !== '/secret/plans' && reached(`subscription ${topic}`));
const stompPort = await listen(stomp);

// JSON-RPC: `sum` is answered, `wipe` must not be called.
const { Server: RpcServer } = require('rpc-websockets');
const rpc = new RpcServer({ port: 0, host: '127.0.0.1' });
await new Promise((done) => rpc.on('listening', done));
rpc.register('sum', (numbers) => numbers.reduce((sum, number) => sum + number, 0), '/rpc');
rpc.register('wipe', () => reached('rpc wipe'), '/rpc');
const rpcPort = rpc.wss.address().port;

// MQTT: the broker's own WebSockets depend on how it was built; its bytes are carried by messages here, cut as they come.
const { connect } = require('net');
const mqtt = createServer();
new WebSocketServer({ server: mqtt, path: '/mqtt', handleProtocols: () => 'mqtt' }).on('connection', (socket) => {
  const broker = connect(Number(process.env.MOSQUITTO), '127.0.0.1');
  socket.on('message', (bytes) => broker.write(bytes)).on('close', () => broker.destroy());
  broker.on('data', (bytes) => socket.send(bytes)).on('close', () => socket.close()).on('error', () => {});
});
const mqttPort = await listen(mqtt);

console.log(`ports ${socketIoPort} ${graphqlPort} ${stompPort} ${rpcPort} ${mqttPort}`);
