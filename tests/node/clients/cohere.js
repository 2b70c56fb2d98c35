// The Cohere SDK.

import { CohereClientV2, CohereError } from 'cohere-ai';

import { Broken, KEY, LIMIT, THINKING_BUDGET, TIMEOUT, URL, finish, json } from '../common.js';

const FINISH = {
  COMPLETE: 'stop',
  STOP_SEQUENCE: 'sequence',
  MAX_TOKENS: 'length',
  TOOL_CALL: 'calls',
  ERROR_TOXIC: 'refusal',
};

// The SDK retries by itself unless it is told not to.
const ONCE = { maxRetries: 0, timeoutInSeconds: TIMEOUT / 1000 };

const client = new CohereClientV2({ token: KEY, environment: URL });

export default {
  unsupported: { loop: 'the SDK has no loop of its own' },
  // That a stream breaks off is an error of the runtime, which the SDK hands on.
  raised: [CohereError, Broken, Error],
  kinds: Object.fromEntries([400, 401, 403, 404, 429, 500, 503].map((status) => [status, CohereError])),
  overflow: (error) => error.body.message.includes('too many tokens'),
  status: (error) => error.statusCode,

  user: (text) => [{ role: 'user', content: text }],

  results: (said) => said.map(([call, content]) => ({ role: 'tool', toolCallId: call.id, content })),

  async ask({ model, turns, tools, schema, thinking, stream }) {
    const request = { model, messages: turns, maxTokens: LIMIT };
    if (tools) {
      request.tools = tools.map(({ name, description, schema: parameters }) => ({
        type: 'function',
        function: { name, description, parameters },
      }));
    }
    if (schema) request.responseFormat = { type: 'json_object', jsonSchema: schema };
    if (thinking) request.thinking = { type: 'enabled', tokenBudget: THINKING_BUDGET };
    if (stream) return gather(await client.chatStream(request, ONCE));
    const answer = await client.chat(request, ONCE);
    return read(answer.message, answer.finishReason, answer.usage);
  },
};

/** Puts a message together from its stream; the SDK has no helper for it. */
async function gather(events) {
  const blocks = [];
  const calls = [];
  const pieces = { text: [], input: [] };
  let plan = '';
  let reason;
  let usage;
  for await (const event of events) {
    const message = event.delta?.message;
    if (event.type === 'content-start') {
      const { type } = message.content;
      blocks[event.index] = { type, [type]: message.content[type] ?? '' };
    } else if (event.type === 'content-delta') {
      const block = blocks[event.index];
      block[block.type] += message.content[block.type] ?? '';
      if (block.type === 'text') pieces.text.push(message.content.text);
    } else if (event.type === 'tool-plan-delta') {
      plan += message.toolPlan;
    } else if (event.type === 'tool-call-start') {
      calls[event.index] = structuredClone(message.toolCalls);
    } else if (event.type === 'tool-call-delta') {
      pieces.input.push(message.toolCalls.function.arguments);
      calls[event.index].function.arguments += message.toolCalls.function.arguments;
    } else if (event.type === 'message-end') {
      if (event.delta.finishReason === 'ERROR') throw new Broken(event.delta.error);
      reason = event.delta.finishReason;
      usage = event.delta.usage;
    }
  }
  const message = { role: 'assistant' };
  if (blocks.length) message.content = blocks.filter(Boolean);
  if (calls.length) message.toolCalls = calls.filter(Boolean);
  if (plan) message.toolPlan = plan;
  return { ...read(message, reason, usage), pieces };
}

function read(message, reason, usage) {
  const why = finish(FINISH, reason);
  const said = (type) =>
    (message.content ?? []).filter((block) => block.type === type).map((block) => block[type]).join('');
  return {
    text: said('text'),
    reasoning: said('thinking'),
    calls: (message.toolCalls ?? []).map(({ id, function: called }) => ({
      id,
      name: called.name,
      input: json(called.arguments),
    })),
    finish: why,
    usage: { prompt: usage.tokens.inputTokens, output: usage.tokens.outputTokens },
    turn: [message],
  };
}
