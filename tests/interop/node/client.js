/* The interoperability cases by @grpc/grpc-js.
 *
 * usage: node client.js CASE HOST:PORT     (its modules are found through NODE_PATH)
 *
 * Ends with 0 where the case passes. */
'use strict';

const assert = require('assert');
const http2 = require('http2');
const path = require('path');
const { setTimeout: sleep } = require('timers/promises');

/* grpc-js does not tell how a message came: the bytes that its sockets have read do. */
const sessions = [];
const connect = http2.connect;
http2.connect = (...given) => {
  const session = connect(...given);
  sessions.push(session);
  return session;
};
const bytesRead = () => sessions.reduce((sum, session) => sum + (session.socket?.bytesRead ?? 0), 0);

const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const LARGE_REQUEST = 271828;
const LARGE_RESPONSE = 314159;
const REQUEST_SIZES = [27182, 8, 1828, 45904];
const RESPONSE_SIZES = [31415, 9, 2653, 58979];
const MESSAGE_BYTES_MAX = 4 << 20;
const MEBIBYTE = 1 << 20;
const WAIT_MS = 30000; // for any call that should not need its own time-out

const { testing } = grpc.loadPackageDefinition(
  loader.loadSync(path.join(__dirname, '..', 'testing.proto'), { keepCase: true })).grpc;
const [name, address] = process.argv.slice(2);

const open = (options = {}, Kind = testing.TestService) =>
  new Kind(address, grpc.credentials.createInsecure(), options);
const gzip = { 'grpc.default_compression_algorithm': grpc.compressionAlgorithms.gzip };
const deadline = (ms = WAIT_MS) => ({ deadline: Date.now() + ms });
const payload = (size) => ({ body: Buffer.alloc(size) });
const simpleRequest = (fields = {}) =>
  ({ payload: payload(LARGE_REQUEST), response_size: LARGE_RESPONSE, ...fields });
const outputRequest = (requestSize, ...sizes) =>
  ({ payload: payload(requestSize), response_parameters: sizes.map((size) => ({ size })) });
const checkSize = (answer, size) => assert.strictEqual(answer.payload.body.length, size);

/* One message each way; the call itself comes with the answer. */
function unary(client, method, request, { metadata = new grpc.Metadata(), ...options } = {}) {
  return new Promise((resolve, reject) => {
    const result = {};
    const call = client[method](request, metadata, { ...deadline(), ...options }, (error, answer) => {
      if (error) {
        reject(error);
        return;
      }
      result.answer = answer;
      call.on('status', () => resolve(result));
      if (result.status) resolve(result);
    });
    call.on('metadata', (initial) => { result.initial = initial; });
    call.on('status', (status) => { result.status = status; });
  });
}

async function expectError(promise, code) {
  try {
    await promise;
  } catch (error) {
    assert.strictEqual(error.code, code, error.stack);
    return error;
  }
  throw new assert.AssertionError({ message: `no error where ${code} was to come` });
}

async function collect(call) {
  const answers = [];
  for await (const answer of call) answers.push(answer);
  return answers;
}

const cases = {
  async empty_unary(client) {
    await unary(client, 'EmptyCall', {});
  },

  async large_unary(client) {
    checkSize((await unary(client, 'UnaryCall', simpleRequest())).answer, LARGE_RESPONSE);
  },

  async client_compressed_unary(client) {
    const expecting = simpleRequest({ expect_compressed: { value: true } });
    await expectError(unary(client, 'UnaryCall', expecting), grpc.status.INVALID_ARGUMENT);
    checkSize((await unary(open(gzip), 'UnaryCall', expecting)).answer, LARGE_RESPONSE);
    const plain = simpleRequest({ expect_compressed: { value: false } });
    checkSize((await unary(client, 'UnaryCall', plain)).answer, LARGE_RESPONSE);
  },

  async server_compressed_unary(client) {
    for (const value of [true, false]) {
      const before = bytesRead();
      const request = simpleRequest({ response_compressed: { value } });
      checkSize((await unary(client, 'UnaryCall', request)).answer, LARGE_RESPONSE);
      assert.strictEqual(bytesRead() - before < LARGE_RESPONSE, value);
    }
  },

  async client_streaming(client) {
    const answer = await new Promise((resolve, reject) => {
      const call = client.StreamingInputCall(deadline(), (error, reply) =>
        (error ? reject(error) : resolve(reply)));
      REQUEST_SIZES.forEach((size) => call.write({ payload: payload(size) }));
      call.end();
    });
    assert.strictEqual(answer.aggregated_payload_size, REQUEST_SIZES.reduce((a, b) => a + b));
  },

  /* Each message says whether it is to be compressed. */
  async client_compressed_streaming(client) {
    const run = (channel, messages) => new Promise((resolve, reject) => {
      const call = channel.StreamingInputCall(deadline(), (error, reply) =>
        (error ? reject(error) : resolve(reply)));
      for (const [size, value, flags] of messages) {
        call.write({ payload: payload(size), expect_compressed: { value } }, flags);
      }
      call.end();
    });
    const noCompress = 2; // a flag of write(), which grpc-js does not export
    await expectError(run(client, [[27182, true, 0]]), grpc.status.INVALID_ARGUMENT);
    const answer = await run(open(gzip), [[27182, true, 0], [45904, false, noCompress]]);
    assert.strictEqual(answer.aggregated_payload_size, 27182 + 45904);
  },

  async server_streaming(client) {
    const answers = await collect(
      client.StreamingOutputCall(outputRequest(0, ...RESPONSE_SIZES), deadline()));
    assert.deepStrictEqual(answers.map((answer) => answer.payload.body.length), RESPONSE_SIZES);
  },

  async server_compressed_streaming(client) {
    const before = bytesRead();
    const answers = await collect(client.StreamingOutputCall({ response_parameters: [
      { size: 31415, compressed: { value: true } },
      { size: 92653, compressed: { value: false } }] }, deadline()));
    assert.deepStrictEqual(answers.map((answer) => answer.payload.body.length), [31415, 92653]);
    const read = bytesRead() - before;
    assert(read > 92653 && read < 92653 + 31415, `${read} bytes came`);
  },

  async ping_pong(client) {
    const call = client.FullDuplexCall(deadline());
    const answers = call[Symbol.asyncIterator]();
    for (const [i, size] of REQUEST_SIZES.entries()) {
      call.write(outputRequest(size, RESPONSE_SIZES[i]));
      checkSize((await answers.next()).value, RESPONSE_SIZES[i]);
    }
    call.end();
    assert((await answers.next()).done);
  },

  async empty_stream(client) {
    const call = client.FullDuplexCall(deadline());
    call.end();
    assert.deepStrictEqual(await collect(call), []);
  },

  async custom_metadata(client) {
    const metadata = new grpc.Metadata();
    metadata.set('x-grpc-test-echo-initial', 'test_initial_metadata_value');
    metadata.set('x-grpc-test-echo-trailing-bin', Buffer.from([0xab, 0xab, 0xab]));
    const check = (initial, trailing) => {
      assert.deepStrictEqual(initial.get('x-grpc-test-echo-initial'),
        ['test_initial_metadata_value']);
      assert.deepStrictEqual(trailing.get('x-grpc-test-echo-trailing-bin'),
        [Buffer.from([0xab, 0xab, 0xab])]);
    };
    const result = await unary(client, 'UnaryCall', simpleRequest(), { metadata });
    checkSize(result.answer, LARGE_RESPONSE);
    check(result.initial, result.status.metadata);

    const call = client.FullDuplexCall(metadata, deadline());
    let initial;
    let status;
    call.on('metadata', (fields) => { initial = fields; });
    call.on('status', (end) => { status = end; });
    call.write(outputRequest(LARGE_REQUEST, LARGE_RESPONSE));
    call.end();
    for (const answer of await collect(call)) checkSize(answer, LARGE_RESPONSE);
    check(initial, status.metadata);
  },

  async status_code_and_message(client) {
    const wanted = { code: grpc.status.UNKNOWN, message: 'test status message' };
    const unaryError = await expectError(
      unary(client, 'UnaryCall', { response_status: wanted }), grpc.status.UNKNOWN);
    assert.strictEqual(unaryError.details, wanted.message);
    const call = client.FullDuplexCall(deadline());
    call.write({ response_status: wanted });
    call.end();
    const streamError = await expectError(collect(call), grpc.status.UNKNOWN);
    assert.strictEqual(streamError.details, wanted.message);
  },

  async special_status_message(client) {
    const wanted = { code: grpc.status.UNKNOWN,
      message: '\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \u{1f608}\t\n' };
    const error = await expectError(
      unary(client, 'UnaryCall', { response_status: wanted }), grpc.status.UNKNOWN);
    assert.strictEqual(error.details, wanted.message);
  },

  async unimplemented_method(client) {
    await expectError(unary(client, 'UnimplementedCall', {}), grpc.status.UNIMPLEMENTED);
  },

  async unimplemented_service() {
    await expectError(unary(open({}, testing.UnimplementedService), 'UnimplementedCall', {}),
      grpc.status.UNIMPLEMENTED);
  },

  async cancel_after_begin(client) {
    let call;
    const ended = new Promise((resolve, reject) => {
      call = client.StreamingInputCall(deadline(), (error, reply) =>
        (error ? reject(error) : resolve(reply)));
    });
    call.cancel();
    await expectError(ended, grpc.status.CANCELLED);
    await cases.empty_unary(client); // the connection has not suffered
  },

  async cancel_after_first_response(client) {
    const call = client.FullDuplexCall(deadline());
    const answers = call[Symbol.asyncIterator]();
    call.write(outputRequest(REQUEST_SIZES[0], RESPONSE_SIZES[0]));
    checkSize((await answers.next()).value, RESPONSE_SIZES[0]);
    call.cancel();
    await expectError(answers.next(), grpc.status.CANCELLED);
    await cases.empty_unary(client);
  },

  async timeout_on_sleeping_server(client) {
    const call = client.FullDuplexCall(deadline(1));
    call.write(outputRequest(REQUEST_SIZES[0]));
    await expectError(collect(call), grpc.status.DEADLINE_EXCEEDED);
  },

  async deadline_after_first_response(client) {
    const call = client.FullDuplexCall(deadline(500));
    const answers = call[Symbol.asyncIterator]();
    call.write(outputRequest(0, 1));
    checkSize((await answers.next()).value, 1);
    await expectError(answers.next(), grpc.status.DEADLINE_EXCEEDED);
  },

  async oversize_request(client) {
    await expectError(unary(client, 'UnaryCall', { payload: payload(MESSAGE_BYTES_MAX + 1) }),
      grpc.status.RESOURCE_EXHAUSTED);
    await cases.large_unary(client);
  },

  async oversize_response(client) {
    await expectError(unary(client, 'UnaryCall', { response_size: MESSAGE_BYTES_MAX + 1 }),
      grpc.status.RESOURCE_EXHAUSTED);
    await cases.large_unary(client);
  },

  async gzip_both_ways() {
    const request = simpleRequest(
      { expect_compressed: { value: true }, response_compressed: { value: true } });
    const before = bytesRead();
    checkSize((await unary(open(gzip), 'UnaryCall', request)).answer, LARGE_RESPONSE);
    assert(bytesRead() - before < LARGE_RESPONSE);
  },

  async ten_megabytes() {
    const client = open({ 'grpc.max_receive_message_length': 11 * MEBIBYTE });
    const { answer } = await unary(client, 'UnaryCall', { response_size: 10 * MEBIBYTE });
    checkSize(answer, 10 * MEBIBYTE);
  },

  async slow_reader(client) {
    const sizes = new Array(10).fill(MEBIBYTE);
    const call = client.StreamingOutputCall(outputRequest(0, ...sizes), deadline());
    let count = 0;
    for await (const answer of call) {
      checkSize(answer, MEBIBYTE);
      count += 1;
      await sleep(30);
      await cases.empty_unary(client); // other calls of the connection go on
    }
    assert.strictEqual(count, sizes.length);
  },

  /* The server ends the connection after every few calls; grpc-js repeats what was surely not
   * begun, so that none may fail. */
  async goaway_under_load(client) {
    const metadata = new grpc.Metadata({ waitForReady: true });
    const worker = async () => {
      for (let i = 0; i < 25; i += 1) {
        const request = { response_size: LARGE_RESPONSE };
        checkSize((await unary(client, 'UnaryCall', request, { metadata })).answer,
          LARGE_RESPONSE);
      }
    };
    await Promise.all(Array.from({ length: 8 }, worker));
  },

  async keepalive() {
    const client = open({ 'grpc.keepalive_time_ms': 200, 'grpc.keepalive_timeout_ms': 1000,
      'grpc.keepalive_permit_without_calls': 1 });
    const wanted = { size: 1, interval_us: 700 * 1000 };
    const answers = await collect(
      client.StreamingOutputCall({ response_parameters: [wanted, wanted] }, deadline()));
    assert.strictEqual(answers.length, 2);
    await sleep(1000);
    await cases.empty_unary(client);
    assert.strictEqual(sessions.length, 1); // still the same connection
  },
};

async function main() {
  if (!Object.hasOwn(cases, name)) {
    console.log(`there is no case '${name}'`);
    process.exit(64);
  }
  await cases[name](open());
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
