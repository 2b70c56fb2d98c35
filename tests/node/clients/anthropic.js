// The Anthropic SDK.

import Anthropic from '@anthropic-ai/sdk';
import { betaTool } from '@anthropic-ai/sdk/helpers/beta/json-schema';

import { KEY, LIMIT, THINKING_BUDGET, TIMEOUT, URL, finish } from '../common.js';

const FINISH = {
  end_turn: 'stop',
  stop_sequence: 'sequence',
  max_tokens: 'length',
  tool_use: 'calls',
  refusal: 'refusal',
};

const client = new Anthropic({ apiKey: KEY, baseURL: URL, maxRetries: 0, timeout: TIMEOUT });

export default {
  unsupported: {},
  raised: [Anthropic.AnthropicError],
  kinds: {
    400: Anthropic.BadRequestError,
    401: Anthropic.AuthenticationError,
    403: Anthropic.PermissionDeniedError,
    404: Anthropic.NotFoundError,
    429: Anthropic.RateLimitError,
    500: Anthropic.InternalServerError,
    503: Anthropic.InternalServerError,
  },
  overflow: (error) => error.error.error.message.includes('prompt is too long'),
  status: (error) => error.status,

  user: (text) => [{ role: 'user', content: text }],

  results: (said) => [
    {
      role: 'user',
      content: said.map(([call, content]) => ({ type: 'tool_result', tool_use_id: call.id, content })),
    },
  ],

  async ask({ model, turns, tools, schema, thinking, stream }) {
    const request = { model, messages: turns, max_tokens: LIMIT };
    if (tools) {
      request.tools = tools.map(({ name, description, schema: input_schema }) => ({ name, description, input_schema }));
    }
    if (schema) request.output_config = { format: { type: 'json_schema', schema } };
    if (thinking) request.thinking = { type: 'enabled', budget_tokens: THINKING_BUDGET };
    if (!stream) return read(await client.messages.create(request));
    const pieces = { text: [], input: [] };
    const running = client.messages.stream(request);
    running.on('text', (delta) => pieces.text.push(delta));
    running.on('inputJson', (delta) => pieces.input.push(delta));
    return { ...read(await running.finalMessage()), pieces };
  },

  /** The loop that the SDK itself runs; it first asks the provider to hold the conversation. */
  async loop({ model, text, tools, stream }) {
    const runner = client.beta.messages.toolRunner({
      model,
      stream,
      max_tokens: LIMIT,
      messages: [{ role: 'user', content: text }],
      tools: tools.map(({ name, description, schema: inputSchema, run }) =>
        betaTool({ name, description, inputSchema, run })),
    });
    const last = await runner.runUntilDone();
    return last.content.filter((block) => block.type === 'text').map((block) => block.text).join('');
  },
};

function read(message) {
  const of = (type) => message.content.filter((block) => block.type === type);
  const { usage } = message;
  return {
    text: of('text').map((block) => block.text).join(''),
    reasoning: of('thinking').map((block) => block.thinking).join(''),
    calls: of('tool_use').map(({ id, name, input }) => ({ id, name, input })),
    finish: finish(FINISH, message.stop_reason),
    usage: {
      prompt: usage.input_tokens + (usage.cache_read_input_tokens ?? 0) + (usage.cache_creation_input_tokens ?? 0),
      output: usage.output_tokens,
    },
    turn: [{ role: 'assistant', content: message.content }],
  };
}
