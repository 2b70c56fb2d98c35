// What every client plays over every backend.

import { equal, ok } from './common.js';

function tool(name, description, field) {
  return {
    name,
    description,
    schema: {
      type: 'object',
      properties: { [field]: { type: 'string' } },
      required: [field],
      additionalProperties: false,
    },
  };
}

const WEATHER = tool('get_weather', 'The weather in a city', 'city');
const TIME = tool('get_time', 'The time in a zone', 'zone');

// What the simulator makes of the two schemas.
const CALLS = [
  ['get_weather', { city: 'value' }],
  ['get_time', { zone: 'value' }],
];

const SCHEMA = {
  type: 'object',
  properties: { city: { type: 'string' }, degrees: { type: 'integer' } },
  required: ['city', 'degrees'],
  additionalProperties: false,
};

// Backends whose reasoning is signed or sealed, and the name under which it comes back; they verify it.
const SIGNED = {
  openai_responses: 'encrypted_content',
  anthropic: 'signature',
  gemini: 'thoughtSignature',
  bedrock: 'signature',
};

async function text({ client, ask, stream }) {
  const history = client.user('Hello');
  const answer = await ask('text', history);
  ok(answer.text.startsWith('Simulated answer to: Hello (messages=1 '), answer.text);
  equal([answer.finish, answer.reasoning, answer.calls], ['stop', '', []], 'finish, reasoning, calls');
  ok(answer.usage.prompt > 0 && answer.usage.output > 0, `usage: ${JSON.stringify(answer.usage)}`);
  if (stream) {
    ok(answer.pieces.text.length > 2, `the answer is no stream: ${JSON.stringify(answer.pieces.text)}`);
    equal(answer.pieces.text.join(''), answer.text, 'pieces of the text');
  }
  const again = await ask('text', [...history, ...answer.turn, ...client.user('And?')]);
  ok(again.text.startsWith('Simulated answer to: And? (messages=3 '), again.text);
}

async function unicode({ client, ask }) {
  const answer = await ask('unicode', client.user('Hello'));
  equal(answer.text, 'Grüße, 北京, 👩‍👩‍👧 und \u{1F680}; ½ € \u2028fin', 'text');
}

async function usage({ client, ask }) {
  const answer = await ask('usage', client.user('Hello'));
  // All of the prompt, cached or not; all of the output with 17 tokens of reasoning.
  const output = answer.text.split(' ').length + 17;
  equal(answer.usage, { prompt: 1061, output }, 'usage');
}

/** Two calls at once, their results, and an answer that quotes both. */
async function tools({ client, ask, stream }) {
  const more = { tools: [WEATHER, TIME] };
  let history = client.user('What is the weather, and what is the time?');
  const answer = await ask('tools', history, more);
  equal(answer.calls.map(({ name, input }) => [name, input]), CALLS, 'calls');
  equal(answer.finish, 'calls', 'finish');
  // Where the protocol streams arguments, their pieces are the whole.
  if (stream && answer.pieces.input) {
    equal(answer.pieces.input.join(''), CALLS.map(([, input]) => JSON.stringify(input)).join(''), 'pieces of the input');
  }
  const ids = answer.calls.map(({ id }) => id).filter(Boolean);
  if (ids.length) equal(new Set(ids).size, CALLS.length, 'ids');
  history = [...history, ...answer.turn, ...client.results(answer.calls.map((call) => [call, `${call.name} said 18`]))];
  const last = await ask('tools', history, more);
  equal([last.finish, last.calls], ['stop', []], 'finish and calls of the last turn');
  quotes(last.text);
  const next = await ask('text', [...history, ...last.turn, ...client.user('And now?')], more);
  ok(next.text.startsWith('Simulated answer to: And now?'), next.text);
}

/** The simulator quotes the results; one protocol wraps them. */
function quotes(text) {
  ok(/^The tools said: .*get_weather said 18.* \| .*get_time said 18/.test(text), `text of the last turn: ${text}`);
}

/** The signature of the reasoning comes back with the result of the call. */
async function reasoning({ client, ask, backend, skips }) {
  const more = { tools: [WEATHER], thinking: true };
  let history = client.user('What is the weather?');
  const answer = await ask('think-tools', history, more);
  if (!skips('reasoning')) {
    // One backend says before its calls what it plans.
    const said = answer.reasoning.replace(/\s*I will use the tools\.$/, '');
    equal(said, 'A tool will tell.', 'reasoning');
  }
  equal([answer.finish, answer.calls.length], ['calls', 1], 'finish and calls');
  history = [...history, ...answer.turn, ...client.results([[answer.calls[0], '18 C']])];
  const last = await ask('think-tools', history, more);
  equal(last.finish, 'stop', 'finish of the last turn');
  ok(/^The tools said: .*18 C/.test(last.text), last.text);
  if (backend in SIGNED && !skips('signed')) {
    const seen = JSON.parse((await ask('echo', history, more)).text);
    ok(holds(seen, SIGNED[backend]), `the signature did not come back: ${JSON.stringify(seen)}`);
  }
}

/** Whether a name with something under it is anywhere in a value. */
function holds(value, name) {
  if (value === null || typeof value !== 'object') return false;
  return Boolean(value[name]) || Object.values(value).some((inner) => holds(inner, name));
}

async function schema({ client, ask }) {
  const answer = await ask('json', client.user('What is the weather?'), { schema: SCHEMA });
  equal(JSON.parse(answer.text), { city: 'value', degrees: 1 }, 'answer');
  equal([answer.finish, answer.calls], ['stop', []], 'finish and calls');
}

async function length({ client, ask }) {
  const answer = await ask('length', client.user('Hello'));
  equal([answer.text, answer.finish], ['This answer is longer than it may', 'length'], 'text and finish');
}

/** The loop that the SDK runs by itself, with functions that note how they are called. */
async function loop({ client, model, stream, needs }) {
  needs('loop');
  const called = [];
  const offered = [WEATHER, TIME].map((one) => ({
    ...one,
    run: async (input) => {
      called.push([one.name, input]);
      return `${one.name} said 18`;
    },
  }));
  const said = await client.loop({ model: model('tools'), text: 'What is it?', tools: offered, stream });
  equal(called, CALLS, 'functions called');
  quotes(said);
}

/** The right class with the right status; the simulator's 503 of one provider has a number of its own. */
async function failures({ client, ask, backend }) {
  for (const status of Object.keys(client.kinds).map(Number)) {
    const played = status === 503 && backend === 'anthropic' ? 529 : status;
    const error = await failure(() => ask(`error-${played}`, client.user('Hello')));
    ok(error instanceof client.kinds[status], `${status}: ${error?.constructor?.name}: ${error}`);
    ok(same(client.status(error), status), `status ${client.status(error)}, expected ${status}`);
    if (client.names) ok(client.names[status].includes(error.name), `${status}: ${error.name}`);
  }
  const error = await failure(() => ask('error-400-overflow', client.user('Hello')));
  ok(client.overflow(error), `no overflow: ${error}`);
}

/** Of keys that are not taken one provider says 403; and too much load has a number of its own with another. */
function same(status, expected) {
  return status === expected || [status, expected].join() === '403,401' || [status, expected].join() === '529,503';
}

/** An answer that breaks in its middle is an error, never a shorter success. */
async function broken({ client, ask }) {
  for (const scenario of ['cut', 'error-mid', 'error-early']) {
    const error = await failure(() => ask(scenario, client.user('Hello')));
    // Of a whole answer that is cut, the SDKs hand on what the runtime says.
    const known = client.raised.some((kind) => error instanceof kind) || error.message === 'terminated';
    ok(known, `${scenario}: ${error}`);
    ok(client.status(error) !== 400, `${scenario}: refused before it began: ${error}`);
  }
}

async function failure(call) {
  let answer;
  try {
    answer = await call();
  } catch (error) {
    ok(error?.code !== 'ERR_ASSERTION', `no exception of the SDK, but ${error}`);
    return error;
  }
  throw new Error(`no exception, but ${JSON.stringify(answer)}`);
}

export const scenarios = { text, unicode, usage, tools, reasoning, schema, length, loop, failures, broken };
